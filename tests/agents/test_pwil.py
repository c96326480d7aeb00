"""PWIL: rewards in the order of the steps, for any learner; resumed bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.agents import PWIL, PWILConfig
from rlgen.agents.off_policy import DQNConfig
from rlgen.data import Demonstrations, Episode
from rlgen.data.transitions import Transitions
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards.episode_coupling import CoupledRows, EpisodeCoupling
from rlgen.sb3.coupling_rewards import CouplingRewards

from .conftest import Expert, PointWorld
from .interruptions import assert_resumes
from .tasks import Balancer, Walker
from .test_gail_off_policy import model_of, returned, score


def coupling(demonstrations: Demonstrations, n_envs: int = 2, **changes: Any) -> EpisodeCoupling:
    world, inputs = PointWorld(), changes.pop("inputs", "state_action")
    settings: dict[str, Any] = {"horizon": 12, "scale": 5.0, "rate": 5.0, **changes}
    coupled = CoupledRows(world.observation_space, world.action_space, inputs)
    return EpisodeCoupling(demonstrations.transitions(), coupled, n_envs=n_envs, **settings)


def one_episode(demonstrations: Demonstrations) -> Demonstrations:
    return demonstrations.first(1)


def test_a_repeated_demonstration_has_the_highest_reward_in_every_step(point_demonstrations) -> None:
    shown = one_episode(point_demonstrations)
    rows, source = shown.transitions(), coupling(shown, n_envs=1)
    rewards = [source.step(rows[t : t + 1]).item() for t in range(len(rows))]
    assert rewards == pytest.approx(12 * [5.0], abs=1e-4)
    assert torch.all(source.left == 1 / 12), "the next episode begins anew"
    still = Transitions(*(each[:1] for each in rows.tensors()))
    falling = [source.step(still).item() for _ in range(12)]
    assert falling[0] == pytest.approx(5, abs=1e-4)
    assert np.all(np.diff(falling) <= 1e-5), "what was used up is no longer there"
    assert falling[-1] < 0.2 * falling[0]
    assert source.step(still).item() == pytest.approx(0, abs=1e-6), "beyond the horizon nothing is left"


def test_environments_and_episodes_do_not_touch_each_other(point_env, point_demonstrations) -> None:
    env = CouplingRewards(point_env(3), coupling(point_demonstrations, 3))
    seen, rewards, dones = [env.reset()], [], []
    for _ in range(30):
        actions = Expert().predict(seen[-1])[0]
        observations, reward, done, infos = env.step(actions)
        rewards.append(reward)
        dones.append(done)
        seen.append(observations)
        assert all(0 < info["episode"]["r"] < 12 for info in infos if "episode" in info), "the task's own"
    assert np.sum(dones) >= 6
    for i in range(3):
        alone = coupling(point_demonstrations, 1)
        for t in range(30):
            at = seen[t][i : i + 1]
            no = torch.zeros(1, dtype=torch.bool)
            action = torch.tensor(Expert().predict(at)[0])
            step = Transitions(torch.tensor(at), action, torch.tensor(at), no, torch.tensor([bool(dones[t][i])]))
            assert alone.step(step).item() == pytest.approx(rewards[t][i], rel=1e-5)


@pytest.mark.parametrize("kind", [SAC, PPO])
def test_it_imitates_with_and_without_a_replay_buffer(kind: type, point_env, point_ppo, point_demonstrations) -> None:
    if kind is SAC:
        model = model_of(SAC, point_env(), learning_rate=3e-3, ent_coef="auto_0.1")
        config, steps = PWILConfig(prefill=400), 800
    else:
        model, config, steps = point_ppo(n_envs=8, learning_rate=3e-3, n_epochs=8), PWILConfig(), 3000
    untrained = returned(model, point_env(seed=5))
    PWIL(model, point_demonstrations, config).learn(steps)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_demonstrations_in_the_replay_buffer_are_stored_like_its_own(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env(), buffer_size=400)
    pwil = PWIL(model, point_demonstrations, PWILConfig(prefill=1000))
    pwil.learn(4)
    buffer = model.replay_buffer
    assert buffer.pos == 50 + 1, "half of the buffer, and a step"
    rows = np.resize(np.arange(len(point_demonstrations)), 200)
    stored = [getattr(buffer, name)[:50].reshape(200, -1) for name in ("observations", "next_observations", "actions")]
    np.testing.assert_array_equal(stored[0], point_demonstrations.observations[rows])
    np.testing.assert_array_equal(stored[1], point_demonstrations.next_observations[rows])
    np.testing.assert_allclose(stored[2], point_demonstrations.actions[rows] / 0.4, atol=1e-6)
    assert (buffer.rewards[:50] == 5).all()
    ended = point_demonstrations.terminated | point_demonstrations.truncated
    np.testing.assert_array_equal(buffer.dones[:50].ravel(), ended[rows])
    np.testing.assert_array_equal(buffer.timeouts[:50].ravel(), point_demonstrations.truncated[rows])


def test_the_same_seed_gives_the_same_policy_and_discrete_actions_work() -> None:
    def train() -> PWIL:
        env = make_vec("CartPole-v1", 2, env_kwargs={"max_episode_steps": 50})
        shown = Demonstrations.record(Balancer(), env, 2)
        model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
        return PWIL(model, shown).learn(64)

    one, two = train(), train()
    assert one.coupling.atoms.shape[1] == 4 + 2
    for mine, other in zip(one.model.policy.parameters(), two.model.policy.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_states_alone_can_be_compared(point_demonstrations) -> None:
    source = coupling(one_episode(point_demonstrations), n_envs=1, inputs="state")
    rows = one_episode(point_demonstrations).transitions()
    other = Transitions(rows.observations, rows.actions + 0.1, *rows.tensors()[2:])
    assert [source.step(other[t : t + 1]).item() for t in range(12)] == pytest.approx(12 * [5.0], abs=1e-4)


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary"])
def test_images_and_dictionaries_are_compared_by_features_and_prefilled(kind: str) -> None:
    env = make_vec(f"test/{kind}-v0", 1)
    shown = Demonstrations.record(Walker(), env, 1)
    dqn = DQNConfig(hidden=(8,), learning_starts=8, batch_size=8, normalize=True, buffer_size=400).make(
        env, 100, seed=0
    )
    pwil = PWIL(dqn, shown, PWILConfig(prefill=10)).learn(16)
    assert pwil.coupling.atoms.shape[1] == 64 + 7 + (4 if kind == "GridDictionary" else 0)
    stored = dqn.replay_buffer.observations
    image = stored["image"] if kind == "GridDictionary" else stored
    first = shown.observations["image"] if kind == "GridDictionary" else shown.observations
    np.testing.assert_array_equal(image[0, 0], np.moveaxis(first[0], -1, 0))
    again = PWIL(dqn, shown).coupling
    assert torch.equal(again.atoms, pwil.coupling.atoms), "the features are the same in every run"
    rows = shown.transitions()
    rewards = [again.step(rows[torch.tensor([t])]).item() for t in range(len(rows))]
    assert rewards == pytest.approx(len(rows) * [5.0], abs=1e-3)


def test_under_a_vec_normalize_raw_observations_are_compared(point_env, point_demonstrations) -> None:
    env = VecNormalize(point_env(), norm_reward=False)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu")
    PWIL(model, point_demonstrations, PWILConfig(scale_reward=False)).learn(64)
    assert isinstance(env.venv, CouplingRewards)
    np.testing.assert_array_equal(env.venv.before, env.get_original_obs())
    assert not np.allclose(env.venv.before, model._last_obs)
    assert model.rollout_buffer.rewards.max() > 0


def test_what_it_cannot_do_is_refused(point_env, point_ppo, point_demonstrations) -> None:
    with pytest.raises(InputError, match="prefill its replay buffer"):
        PWIL(point_ppo(), point_demonstrations, PWILConfig(prefill=10))
    state = coupling(point_demonstrations, 2).state_dict()
    with pytest.raises(InputError, match="mass left"):
        coupling(point_demonstrations, 3).load_state_dict(state)


RUN = (
    "--env Hopper-v5 --n-envs 2 --device cpu --threads 1 --no-video --episodes 2 --steps 256 --checkpoint-every 130 "
    "--evaluate-every 0 --learner.batch-size 32 --learner.hidden 8"
)


@pytest.mark.parametrize(
    "options",
    [
        "--learner.algorithm sac --learner.learning-starts 20 --pwil.prefill 50",
        "--learner.algorithm ppo --learner.n-steps 32 --learner.n-epochs 1",
    ],
    ids=["sac", "ppo"],
)
def test_a_run_resumes_bit_for_bit_in_the_middle_of_episodes(
    options: str, tmp_path: Path, no_finish: list[tuple]
) -> None:
    random = np.random.default_rng(0)
    episode = Episode(observations=random.normal(size=(65, 11)), actions=random.uniform(-1, 1, (64, 3)))
    Demonstrations.from_episodes([episode], env_id="Hopper-v5").save(tmp_path / "demos.npz")
    command = ["train", "pwil", *RUN.split(), *options.split(), "--demos", str(tmp_path / "demos.npz")]
    assert_resumes(command, 192, tmp_path, no_finish)


def test_2_percent_of_the_median_deviation_are_added_to_every_unit_of_distance() -> None:
    seen = np.array([[0, 0, 0, 7], [2, 6, 20, 7], [0, 0, 0, 7], [2, 6, 20, 7], [0, 0, 0, 7]], np.float32)
    rows = Demonstrations.from_episodes([Episode(observations=seen, actions=np.zeros((4, 1), np.float32))])
    found = EpisodeCoupling(
        rows.transitions(), lambda batch: batch.observations, n_envs=1, horizon=4, scale=5.0, rate=5.0
    )
    assert found.std.tolist() == pytest.approx([1 + 0.06, 3 + 0.06, 10 + 0.06, 0.06])
