"""LS-IQ and IQ-Learn: critics of SAC or DQN are regressed to targets of demonstrated and own rows."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from stable_baselines3 import DQN, SAC, TD3

from rlgen.agents import LSIQ, LSIQConfig
from rlgen.agents.lsiq import IQ_LEARN
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import evaluate

from .tasks import Balancer
from .test_gail_off_policy import Draw, model_of, returned, score

HIGHEST = 1 / (0.5 * (1 - 0.9))  # 1 / (c (1 - γ))


def sac(env: Any, seed: int = 0, **changes: Any) -> SAC:
    model = model_of(SAC, env, seed, ent_coef=0.01, **changes)
    assert isinstance(model, SAC)
    return model


def test_half_of_a_minibatch_is_demonstrated_and_its_rewards_are_complete_targets(
    point_env, point_demonstrations
) -> None:
    draw = Draw()
    LSIQ(sac(point_env(), seed=70), point_demonstrations).learn(80, draw)
    own, expert = draw.rewards.chunk(2)
    assert expert.tolist() == pytest.approx([HIGHEST] * 25)
    assert (own.abs() <= HIGHEST * 1.001).all()
    assert len(own.unique()) > 20
    assert (draw.samples.dones == 1).all(), "SAC adds nothing to a target"


@pytest.mark.parametrize(("config", "kept"), [(LSIQConfig(expert_target="bootstrap"), True), (IQ_LEARN, False)])
def test_values_that_run_away_are_clipped_by_lsiq_alone(
    config: LSIQConfig, kept: bool, point_env, point_demonstrations
) -> None:
    model = sac(point_env(), seed=70)
    with torch.no_grad():
        for network in model.critic_target.q_networks:
            network[-1].bias.fill_(1000.0)
    draw = Draw()
    LSIQ(model, point_demonstrations, config).learn(44, draw)
    own, expert = (part[~part_ended] for part, part_ended in zip(draw.rewards.chunk(2), ended(draw), strict=True))
    if kept:
        torch.testing.assert_close(expert, torch.full_like(expert, 2 + 0.9 * HIGHEST))
        torch.testing.assert_close(own, torch.full_like(own, -2 + 0.9 * HIGHEST))
    else:
        assert min(own.min(), expert.min()) > 500


def ended(draw: Draw) -> list[torch.Tensor]:
    """Own and demonstrated rows whose target is that of an absorbing state."""
    return [part.abs() == HIGHEST for part in draw.rewards.chunk(2)]


def test_an_end_of_the_policys_is_punished_for_ever_and_of_the_experts_rewarded(
    point_env, point_demonstrations
) -> None:
    lsiq = LSIQ(sac(point_env()), point_demonstrations, IQ_LEARN)
    lsiq.experts.rows = all_terminated(point_demonstrations)
    own = lsiq.model.replay_buffer
    lsiq.learn(60)
    own.dones[:], own.timeouts[:] = 1, 0
    joined = lsiq.experts.join(own.sample(10), 10)
    assert joined.rewards.flatten().tolist() == pytest.approx([-HIGHEST] * 10 + [HIGHEST] * 10)


def all_terminated(demonstrations: Demonstrations) -> Any:
    rows = demonstrations.transitions()
    observations, actions, following, *_ = rows.tensors()
    ends = torch.ones(len(rows), dtype=torch.bool)
    return type(rows)(observations, actions, following, ends, ~ends)


@pytest.mark.parametrize("config", [LSIQConfig(), IQ_LEARN], ids=["LS-IQ", "IQ-Learn"])
def test_it_learns_to_imitate(config: LSIQConfig, point_env, point_demonstrations) -> None:
    model = sac(point_env(), learning_rate=3e-3)
    untrained = returned(model, point_env(seed=5))
    LSIQ(model, point_demonstrations, config).learn(800)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_dqn_has_the_highest_action_value_as_the_value_of_a_state() -> None:
    env = make_vec("CartPole-v1", 4)
    model = DQN("MlpPolicy", env, learning_starts=16, gamma=0.9, device="cpu", seed=0)
    lsiq = LSIQ(model, Demonstrations.record(Balancer(), env, 2), LSIQConfig(expert_target="bootstrap")).learn(80)
    joined = lsiq.experts.join(model.replay_buffer.sample(10), 10)
    values = model.q_net_target(joined.next_observations).detach().amax(1).clamp(-HIGHEST, HIGHEST)
    going = 0.9 * values + torch.tensor([-2.0] * 10 + [2.0] * 10)
    ends = torch.tensor([-HIGHEST] * 10 + [HIGHEST] * 10)
    for found, *targets in zip(joined.rewards.flatten().tolist(), going.tolist(), ends.tolist(), strict=True):
        assert found in (pytest.approx(targets[0]), pytest.approx(targets[1]))
    assert (joined.dones == 1).all()


def test_dqn_learns_to_imitate() -> None:
    env = make_vec("CartPole-v1", 4)
    demonstrations = Demonstrations.record(Balancer(), env, 2)
    settings = {"learning_rate": 1e-3, "batch_size": 64, "target_update_interval": 200, "gradient_steps": 2}
    model = DQN("MlpPolicy", env, learning_starts=100, train_freq=1, gamma=0.98, device="cpu", seed=0, **settings)
    LSIQ(model, demonstrations).learn(6000)
    assert evaluate(model, env, 8, seed=1, label=None).returns.mean() > 100


def test_the_same_seed_learns_the_same(point_env, point_demonstrations) -> None:
    weights = []
    for _ in range(2):
        model = sac(point_env())
        LSIQ(model, point_demonstrations, replace(IQ_LEARN, clip=True)).learn(80)
        weights.append(torch.cat([each.flatten() for each in model.policy.parameters()]))
    assert torch.equal(*weights)


def test_what_would_not_work_is_refused(point_env, point_demonstrations) -> None:
    for model, said in (
        (model_of(SAC, point_env()), "fixed entropy coefficient"),
        (model_of(TD3, point_env()), "SAC"),
        (sac(point_env(), gamma=1.0), "gamma 1"),
        (sac(point_env(), n_steps=3), "single steps"),
    ):
        with pytest.raises(InputError, match=said):
            LSIQ(model, point_demonstrations)
    with pytest.raises(InputError, match="regularization"):
        LSIQConfig(regularization=0.0)
