"""Worlds on a device: episodes that begin, end and go on as Gymnasium's do."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlgen.envs import TASKS
from rlgen.errors import InputError
from rlgen.sim.device_env import DeviceEnv
from rlgen.sim.initial_state_pool import InitialStatePool
from rlgen.sim.model import no_compiler_log
from rlgen.sim.threads import ThreadedSim

CPU, N, LIMIT = torch.device("cpu"), 4, 7


def actions_of(env: DeviceEnv, steps: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    low, high = env.action_low, env.action_high
    return [torch.from_numpy(rng.uniform(low, high, (env.n_envs, len(low))).astype(np.float32)) for _ in range(steps)]


@pytest.fixture(scope="module")
def ant() -> DeviceEnv:
    return DeviceEnv(TASKS["Ant-v5"](), N, LIMIT, CPU)


@pytest.mark.parametrize("env_id", ["Ant-v5", "Humanoid-v5", "Walker2d-v5", "rlgen/SwimmerGather-v0"])
def test_three_episodes_are_those_on_threads(env_id):
    """After seven steps float32 is still near float64; every new episode begins exactly where Gymnasium's does."""
    task = TASKS[env_id]()
    env, peer = DeviceEnv(task, N, LIMIT, CPU), ThreadedSim(task, N, LIMIT, n_threads=1)
    close = {"rtol": 1e-3, "atol": 2e-2}
    np.testing.assert_allclose(env.reset(range(5, 5 + N)), peer.reset(range(5, 5 + N)), rtol=0, atol=1e-5)
    for action in actions_of(env, 3 * LIMIT):
        step, other = env.step(action), peer.step(action.numpy())
        np.testing.assert_allclose(step.observations, other.observations, **close)
        np.testing.assert_allclose(step.rewards, other.rewards, **close)
        np.testing.assert_array_equal(step.terminated, other.terminated)
        np.testing.assert_array_equal(step.truncated, other.truncated)
        ended = other.finished
        np.testing.assert_allclose(step.final_observations[ended], other.final_observations, **close)
        np.testing.assert_allclose(step.episode_returns[ended], other.episode_returns, **close)
        np.testing.assert_array_equal(step.episode_lengths[ended], other.episode_lengths)
        if len(ended):
            np.testing.assert_allclose(step.observations[ended], other.observations[ended], rtol=0, atol=1e-5)
    env.check()
    assert env.episodes.tolist() == [3] * N
    assert int(env.lost) == 0


def test_a_fall_terminates_and_is_seen_in_the_final_observation(ant):
    ant.reset([0] * N)
    ant.physics.now.qpos[1, 2] = 5.0  # high in the air, which Ant-v5 calls unhealthy
    step = ant.step(torch.zeros(N, 8))
    assert step.terminated.tolist() == [False, True, False, False]
    assert step.truncated.tolist() == [False] * N
    assert step.final_observations[1, 0] > 4
    assert 0.5 < step.observations[1, 0] < 1
    assert step.episode_lengths.tolist() == [1] * N
    assert ant.elapsed.tolist() == [1, 0, 1, 1]
    assert torch.equal(step.final_observations[0], step.observations[0])


def test_a_world_that_is_lost_begins_anew_unpaid_and_is_counted(ant):
    ant.reset([0] * N)
    before = int(ant.lost)
    ant.physics.now.qvel[2] = torch.nan
    step = ant.step(torch.zeros(N, 8))
    assert step.truncated.tolist() == [False, False, True, False]
    assert not step.terminated.any()
    assert step.rewards[2] == 0
    for tensor in (step.observations, step.final_observations, step.rewards):
        assert tensor.isfinite().all()
    assert int(ant.lost) == before + 1
    assert ant.step(torch.zeros(N, 8)).observations.isfinite().all()


def test_worlds_do_not_touch_each_other(ant):
    actions = actions_of(ant, 5)
    ant.reset(range(N))
    alone = [ant.step(action).observations[3].clone() for action in actions]
    ant.reset([7, 8, 9, 3])
    for action, before in zip(actions, alone, strict=True):
        other = action.clone()
        other[:3] *= -1
        torch.testing.assert_close(ant.step(other).observations[3], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("env_id", ["Ant-v5", "rlgen/SwimmerGather-v0"])
def test_a_saved_state_goes_on_bit_for_bit(env_id):
    env, other = (DeviceEnv(TASKS[env_id](), N, LIMIT, CPU) for _ in range(2))
    actions = actions_of(env, 3 * LIMIT)
    env.reset(range(N))
    for action in actions[:10]:
        env.step(action)
    saved = env.state_dict()
    json.dumps(saved["generators"])
    other.reset(range(50, 50 + N))
    other.load_state_dict(saved)
    for action in actions[10:]:
        for one, two in zip(env.step(action), other.step(action), strict=True):
            assert torch.equal(one, two)


def test_the_state_of_other_worlds_is_refused(ant):
    ant.reset([0] * N)
    state = DeviceEnv(TASKS["Ant-v5"](), N, LIMIT + 1, CPU, captured=False)
    with pytest.raises(InputError, match="time limit 7"):
        ant.load_state_dict({**ant.state_dict(), "made_as": state._made_as()})


@pytest.mark.parametrize("size", [{"n_envs": 0}, {"contacts": 0}, {"constraints": -1}])
def test_sizes_that_are_not_positive_are_refused_at_once(size):
    with pytest.raises(InputError, match="at least 1"):
        DeviceEnv(TASKS["Ant-v5"](), **{"n_envs": 1, "time_limit": None, "device": CPU, **size})


def test_the_pool_holds_the_beginnings_of_gymnasiums_episodes_in_their_order():
    task = TASKS["Ant-v5"]()
    with no_compiler_log():
        peers = [gym.make("Ant-v5").unwrapped for _ in range(2)]
    model = ThreadedSim(task, 1, None).model
    pool = InitialStatePool(task, model, ("qpos", "qvel"), 2, CPU)
    assert pool.per_env * 2 >= 4096
    pool.draw([11, 12])
    for episode in range(3):
        rows = pool.rows(torch.full((2,), episode))
        for i, peer in enumerate(peers):
            peer.reset(seed=11 + i if episode == 0 else None)
            np.testing.assert_allclose(rows["qpos"][i], peer.data.qpos, atol=1e-6)
            np.testing.assert_allclose(rows["qvel"][i], peer.data.qvel, atol=1e-6)
    again = pool.rows(torch.full((2,), pool.per_env))
    assert torch.equal(again["qpos"], pool.rows(torch.zeros(2, dtype=torch.int64))["qpos"])


def test_a_second_reset_without_seeds_goes_on_with_other_beginnings(ant):
    first = ant.reset([1] * N).clone()
    second = ant.reset([None] * N)
    assert (first - second).abs().max() > 1e-3
    assert torch.equal(first, ant.reset([1] * N))


@pytest.mark.gpu
def test_a_step_on_a_gpu_never_waits_for_it():
    env = DeviceEnv(TASKS["Humanoid-v5"](), 64, 5, torch.device("cuda"))
    env.reset(range(64))
    action = torch.zeros(64, 17, device="cuda")
    env.step(action)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(12):
            env.step(action)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    env.check()
    assert (env.episodes >= 2).all()  # 13 steps of at most 5, so that resets were among them


@pytest.mark.gpu
def test_a_gpu_steps_as_a_cpu_does():
    task = TASKS["Ant-v5"]()
    envs = [DeviceEnv(task, N, LIMIT, torch.device(name)) for name in ("cpu", "cuda")]
    for env in envs:
        env.reset(range(N))
    for action in actions_of(envs[0], LIMIT - 1):
        one, other = (env.step(action.to(env.device)) for env in envs)
        torch.testing.assert_close(one.observations, other.observations.cpu(), rtol=1e-3, atol=2e-2)
