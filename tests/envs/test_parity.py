"""Every task against Gymnasium's own environment: same seed, same actions, the same numbers in float64."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlgen.envs import TASKS
from rlgen.sim.model import no_compiler_log, own_rule
from rlgen.sim.task import State
from rlgen.sim.threads import ThreadedSim

SEEDS = (3, 4)
# NumPy 1 makes float64 of Gymnasium's cost of an action in float32; ours stays float32, as both do under NumPy 2.
REWARD_ATOL = 1e-9 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 1e-6
FALLING = ("Ant-v5", "Hopper-v5", "Humanoid-v5", "Walker2d-v5", "rlgen/SparseAnt-v0", "rlgen/SparseHumanoid-v0")


def assert_follows_gymnasium(env_id: str, steps: int, dtype=np.float32, **kwargs) -> tuple[int, int]:
    """Steps both with random actions and returns how many episodes terminated and were truncated."""
    with no_compiler_log():
        peers = [gym.make(env_id, **kwargs).unwrapped for _ in SEEDS]
    limit = gym.spec(env_id).max_episode_steps
    sim = ThreadedSim(TASKS[env_id](**kwargs), len(SEEDS), limit, n_threads=2, margin_rule=own_rule())
    first = [peer.reset(seed=seed)[0] for peer, seed in zip(peers, SEEDS, strict=True)]
    np.testing.assert_allclose(sim.reset(SEEDS), first, rtol=0, atol=1e-9)
    rng, elapsed, ended = np.random.default_rng(0), [0] * len(SEEDS), np.zeros(2, dtype=int)
    space = peers[0].action_space
    for _ in range(steps):
        actions = rng.uniform(space.low, space.high, (len(SEEDS), *space.shape)).astype(dtype)
        got = sim.step(actions)
        final = dict(zip(got.finished, got.final_observations, strict=True))
        for i, peer in enumerate(peers):
            observation, reward, terminated, _, _ = peer.step(actions[i])
            elapsed[i] += 1
            truncated = elapsed[i] == limit
            assert (got.terminated[i], got.truncated[i]) == (terminated, truncated)
            np.testing.assert_allclose(got.rewards[i], reward, rtol=0, atol=REWARD_ATOL)
            if terminated or truncated:
                np.testing.assert_allclose(final[i], observation, rtol=0, atol=1e-9)
                observation, elapsed[i] = peer.reset()[0], 0
                ended += (terminated, truncated)
            np.testing.assert_allclose(got.observations[i], observation, rtol=0, atol=1e-9)
    sim.close()
    return int(ended[0]), int(ended[1])


@pytest.mark.parametrize("env_id", list(TASKS))
def test_thousand_random_steps_equal_gymnasiums(env_id):
    terminated, truncated = assert_follows_gymnasium(env_id, 1000)
    if env_id in FALLING:
        # A sparse Ant takes so short steps that whether it falls within these is a matter of the last digits.
        assert terminated > 0 or env_id == "rlgen/SparseAnt-v0"
    else:
        assert (terminated, truncated) == (0, len(SEEDS) * 1000 // gym.spec(env_id).max_episode_steps)


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("Ant-v5", {"include_cfrc_ext_in_observation": False, "exclude_current_positions_from_observation": False}),
        ("Ant-v5", {"terminate_when_unhealthy": False, "healthy_z_range": (0.4, 0.8), "healthy_reward": 0.3}),
        ("Ant-v5", {"contact_force_range": (-0.1, 0.1), "contact_cost_weight": 0.1, "main_body": 2, "frame_skip": 2}),
        ("HalfCheetah-v5", {"exclude_current_positions_from_observation": False, "forward_reward_weight": 3.0}),
        ("HalfCheetah-v5", {"reset_noise_scale": 0.5, "ctrl_cost_weight": 0.3, "frame_skip": 1}),
        ("Hopper-v5", {"healthy_state_range": (-2.0, 2.0), "forward_reward_weight": 0.7}),
        ("Hopper-v5", {"terminate_when_unhealthy": False, "exclude_current_positions_from_observation": False}),
        ("Humanoid-v5", {"include_cinert_in_observation": False, "include_cvel_in_observation": False}),
        ("Humanoid-v5", {"include_qfrc_actuator_in_observation": False, "include_cfrc_ext_in_observation": False}),
        ("Humanoid-v5", {"contact_cost_weight": 1e-3, "contact_cost_range": (0.0, 2.0), "reset_noise_scale": 0.05}),
        ("Swimmer-v5", {"exclude_current_positions_from_observation": False, "ctrl_cost_weight": 0.1}),
        ("Walker2d-v5", {"healthy_angle_range": (-0.2, 0.2), "healthy_z_range": (1.1, 2.0), "healthy_reward": 2.0}),
    ],
)
def test_keyword_arguments_mean_what_they_mean_in_gymnasium(env_id, kwargs):
    assert_follows_gymnasium(env_id, 100, **kwargs)


def test_actions_in_float64_are_paid_in_float64():
    assert_follows_gymnasium("Ant-v5", 50, dtype=np.float64)


@pytest.mark.parametrize("env_id", list(TASKS))
def test_numpy_and_torch_agree(env_id):
    task = TASKS[env_id]()
    sim = ThreadedSim(task, 8, 1000, n_threads=1)
    sim.reset(range(8))
    low, high = sim.model.actuator_ctrlrange.T
    rng = np.random.default_rng(0)

    def tensors(state: State) -> State:
        return State(**{name: torch.from_numpy(array) for name, array in vars(state).items()})

    for _ in range(12):
        actions = rng.uniform(low, high, (8, sim.model.nu))
        before = State(**{name: array.copy() for name, array in vars(sim.now).items()})
        sim.step(actions)
        sim.now.qpos[0, :] = np.nan  # as a broken simulation would leave it
        pairs = [
            (task.observe(sim.now), task.observe(tensors(sim.now))),
            (task.terminated(sim.now), task.terminated(tensors(sim.now))),
            (
                task.reward(before, actions, sim.now),
                task.reward(tensors(before), torch.from_numpy(actions), tensors(sim.now)),
            ),
        ]
        for array, tensor in pairs:
            assert tensor.dtype == torch.from_numpy(array).dtype
            np.testing.assert_allclose(array, tensor.numpy(), rtol=0, atol=1e-12)
        sim.reset(range(8))
    sim.close()


def test_a_broken_simulation_ends_the_episode_where_gymnasium_says_so():
    for env_id in FALLING:
        task = TASKS[env_id]()
        sim = ThreadedSim(task, 2, 1000, n_threads=1)
        sim.reset((0, 1))
        assert task.terminated(sim.now).tolist() == [False, False]
        sim.now.qpos[1, :] = np.nan
        assert task.terminated(sim.now).tolist() == [False, True]
        sim.close()
