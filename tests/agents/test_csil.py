"""CSIL: off- and on-policy learners on the rewards of a cloned policy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO, SAC

from rlgen.agents import CSIL, BCConfig, CSILConfig
from rlgen.agents.csil import MOST_STD
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards import CoherentRewardConfig
from rlgen.runs import evaluate
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3.image_features import extractor_for

from .tasks import Balancer, Photometer
from .test_gail_off_policy import Draw, model_of, returned, score

REWARD = CoherentRewardConfig(
    hidden=(32, 8), features=32, max_updates=400, check_every=50, patience=3, batch_size=64, learning_rate=3e-3
)
COLD = CSILConfig(reward=REWARD, warm_start=False, critic_updates=50)


def sac(env: Any, seed: int = 0, **changes: Any) -> SAC:
    model = model_of(SAC, env, seed, ent_coef=0.01, **changes)
    assert isinstance(model, SAC)
    return model


def test_sac_learns_to_imitate_without_cloning_its_actor(point_env, point_demonstrations) -> None:
    model = sac(point_env(), learning_rate=3e-3)
    untrained = returned(model, point_env(seed=5))
    CSIL(model, point_demonstrations, COLD).learn(400)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_ppo_learns_to_imitate_without_cloning_its_policy(point_env, point_ppo, point_demonstrations) -> None:
    model = point_ppo(n_steps=64, batch_size=64, n_epochs=5, learning_rate=3e-3)
    untrained = returned(model, point_env(seed=5))
    CSIL(model, point_demonstrations, COLD).learn(4096)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_half_of_a_minibatch_is_demonstrated_and_has_the_clones_rewards(point_env, point_demonstrations) -> None:
    draw = Draw()
    csil = CSIL(sac(point_env(), seed=70), point_demonstrations, COLD).learn(60, draw)
    csil.learn(4, draw)
    shown = {tuple(row): place for place, row in enumerate(point_demonstrations.observations.tolist())}
    places = [shown.get(tuple(row)) for row in draw.samples.observations.tolist()]
    assert places[:25] == [None] * 25
    experts = point_demonstrations.transitions()[torch.tensor(places[25:])]
    torch.testing.assert_close(draw.rewards[25:], csil.source.reward(experts), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [SAC, PPO])
def test_images_are_rewarded_by_what_their_cloned_features_say(kind: Any) -> None:
    env = make_vec("test/Brightness-v0", 2, backend="gymnasium")
    shown = Demonstrations.record(Photometer(), env, 20)
    settings = {"features_extractor_class": extractor_for(env.observation_space), "net_arch": [8]}
    small = {"n_steps": 16} if kind is PPO else {"learning_starts": 10, "buffer_size": 200}
    model = kind("CnnPolicy", env, batch_size=16, policy_kwargs=settings, device="cpu", **small)
    reward = replace(REWARD, max_updates=200)
    csil = CSIL(model, shown, CSILConfig(reward=reward, warm_start=False, critic_updates=5)).learn(32)
    rows = shown.transitions()
    wrong = replace(rows, actions=-rows.actions)
    assert csil.source.reward(rows).mean() > csil.source.reward(wrong).mean() + 0.5
    other = CSIL(model, shown, CSILConfig(reward=reward))
    other.load_state_dict(decode(*encode(csil.state_dict())))
    assert torch.equal(other.source.reward(rows), csil.source.reward(rows))


def test_an_on_policy_learners_noise_limits_the_clones(point_env, point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    with torch.no_grad():
        model.policy.log_std.fill_(torch.tensor(0.04).log())  # a tenth of half the action range
    csil = CSIL(model, point_demonstrations, COLD)
    assert csil.source.policy.least_std == pytest.approx(0.1)
    with torch.no_grad():
        model.policy.log_std.fill_(1.0)
    assert CSIL(model, point_demonstrations, COLD).source.policy.least_std == MOST_STD
    assert CSIL(sac(point_env()), point_demonstrations, COLD).source.policy.least_std == 0.1
    given = replace(COLD, reward=replace(REWARD, least_std=0.2))
    assert CSIL(model, point_demonstrations, given).source.policy.least_std == 0.2


def test_the_same_seed_learns_the_same_and_a_state_round_trip_changes_no_reward(
    point_env, point_demonstrations
) -> None:
    bc = BCConfig(max_updates=50, check_every=25, plain_below=0)
    config = CSILConfig(reward=replace(REWARD, max_updates=50), bc=bc, critics_first=20, critic_updates=20)
    trained = []
    for _ in range(2):
        torch.manual_seed(0)
        trained.append(CSIL(sac(point_env()), point_demonstrations, config).learn(80))
    weights = [torch.cat([each.flatten() for each in csil.model.policy.parameters()]) for csil in trained]
    assert torch.equal(*weights)
    fresh = CSIL(sac(point_env(), seed=1), point_demonstrations, config)
    fresh.load_state_dict(trained[0].state_dict())
    batch = point_demonstrations.transitions()
    assert torch.equal(fresh.source.reward(batch), trained[0].source.reward(batch))
    assert fresh.warm, "it does not clone again"


def test_the_cloning_of_the_reward_shows_its_progress(point_env, point_demonstrations) -> None:
    csil = CSIL(sac(point_env()), point_demonstrations, replace(COLD, reward=replace(REWARD, max_updates=120)))
    shown: list[tuple[int, int]] = []
    csil.on_warm_up = lambda update, most: shown.append((update, most))
    csil.warm_up()
    assert shown == [(50, 120), (100, 120), (120, 120)]


def test_ppo_balances_from_discrete_demonstrations_in_which_no_pole_falls() -> None:
    env = make_vec("CartPole-v1", 8)
    shown = Demonstrations.record(Balancer(), env, 2)
    settings = {"n_steps": 64, "batch_size": 256, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.98}
    model = PPO("MlpPolicy", env, seed=0, device="cpu", **settings)
    csil = CSIL(model, shown, replace(COLD, reward=replace(REWARD, max_updates=800))).learn(12_000)
    assert csil.source.accidents
    assert evaluate(model, env, 8, seed=1, label=None).returns.mean() > 150


def test_ends_are_accidents_unless_most_demonstrated_episodes_have_them(
    point_env, point_demonstrations, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {ends: replace(COLD, ends=ends) for ends in ("accidents", "demonstrated")}
    assert CSIL(sac(point_env()), point_demonstrations, asked["accidents"]).source.accidents
    caplog.set_level("INFO", "rlgen")
    assert not CSIL(sac(point_env()), point_demonstrations, COLD).source.accidents, "continuous actions"
    assert "an early end is" not in caplog.text, "the data have not decided"
    env = make_vec("CartPole-v1", 1)
    shown = Demonstrations.record(Balancer(), env, 2)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu")
    assert CSIL(model, shown, COLD).source.accidents
    assert "an early end is an accident" in caplog.text
    assert not CSIL(model, shown, asked["demonstrated"]).source.accidents
    ended = shown.terminated.copy()
    ended[np.append(np.diff(shown.episode) != 0, True)] = True
    reached = replace(shown, terminated=ended, truncated=np.zeros_like(ended))
    assert not CSIL(model, reached, COLD).source.accidents


def test_dqn_has_no_policy_to_clone() -> None:
    env = make_vec("CartPole-v1", 1)
    shown = Demonstrations.record(Balancer(), env, 2)
    with pytest.raises(InputError, match="warm start"):
        CSIL(DQN("MlpPolicy", env), shown, replace(COLD, warm_start=True))
    CSIL(DQN("MlpPolicy", env, learning_starts=8, device="cpu"), shown, COLD).learn(16)


def test_a_verbose_model_says_what_learns_before_the_first_step(
    point_env, point_demonstrations, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(COLD, reward=replace(REWARD, max_updates=50), critic_updates=2)
    for verbose in (0, 1):
        CSIL(sac(point_env(), verbose=verbose), point_demonstrations, config).warm_up()
    lines = [line for line in capsys.readouterr().out.splitlines() if "demonstrated transitions" in line]
    assert lines == [
        "Reward: cloning 96 demonstrated transitions, in at most 50 updates",
        "Critics: first values from 96 demonstrated transitions, in 2 updates",
    ]
