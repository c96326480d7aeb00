"""States of single environments are saved, and restored in others, bit for bit."""

import numpy as np
import pytest

from rlgen.envs import WarpOptions, make_vec
from rlgen.runs.state_tree import decode, encode

TASKS = ["rlgen/SparseAnt-v0", "rlgen/SparseHumanoid-v0", "rlgen/SparseMountainCar-v0", "rlgen/SwimmerGather-v0"]


@pytest.mark.parametrize("env_id", TASKS)
def test_a_restored_state_goes_on_bit_for_bit_in_another_environment(env_id: str) -> None:
    env, rng = make_vec(env_id, 3, seed=0), np.random.default_rng(0)
    low, high = env.action_space.low, env.action_space.high
    env.reset()

    def random() -> np.ndarray:
        return rng.uniform(low, high, (3, len(low))).astype(np.float32)

    for _ in range(7):
        env.step(random())
    rows = decode(*encode(env.save_rows(np.array([1, 2]))))
    saved = env.current_observations()[1:]
    actions = [random() for _ in range(9)]
    expected = [[each[1:] for each in env.step(action)[:3]] for action in actions]
    for _ in range(3):
        env.step(random())
    env.load_rows(np.array([0, 1]), rows)
    np.testing.assert_array_equal(env.current_observations()[:2], saved)
    for action, (observations, rewards, dones) in zip(actions, expected, strict=True):
        moved = np.roll(action, -1, 0)
        found = env.step(moved)
        np.testing.assert_array_equal(found[0][:2], observations)
        np.testing.assert_array_equal(found[1][:2], rewards)
        np.testing.assert_array_equal(found[2][:2], dones)
    env.close()


def test_a_restored_state_goes_on_alike_on_warp() -> None:
    pytest.importorskip("mujoco_warp")
    options = WarpOptions(device="cpu")
    env = make_vec("rlgen/SparseHalfCheetah-v0", 2, seed=0, backend="warp", warp=options)
    rng = np.random.default_rng(0)
    env.reset()
    for _ in range(3):
        env.step(rng.uniform(-1, 1, (2, 6)).astype(np.float32))
    rows = env.save_rows(np.array([1]))
    actions = rng.uniform(-1, 1, (4, 2, 6)).astype(np.float32)
    expected = [env.step(action)[0][1] for action in actions]
    env.load_rows(np.array([0]), decode(*encode(rows)))
    for action, observation in zip(actions, expected, strict=True):
        np.testing.assert_array_equal(env.step(action[::-1].copy())[0][0], observation)
    env.close()


def test_the_time_limit_goes_on_too() -> None:
    env = make_vec("rlgen/SparseMountainCar-v0", 2, seed=0, env_kwargs={"max_episode_steps": 10})
    env.reset()
    still = np.zeros((2, 1), np.float32)
    for _ in range(6):
        env.step(still)
    rows = env.save_rows(np.array([0]))
    for _ in range(6):
        env.step(still)
    env.load_rows(np.array([1]), rows)
    ends = [bool(env.step(still)[2][1]) for _ in range(4)]
    assert ends == [False, False, False, True]
