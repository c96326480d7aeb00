"""Sparse HalfCheetah, Ant and Humanoid: Gymnasium's own bodies, paid beyond a line and never_terminated else."""

import gymnasium as gym
import numpy as np
import pytest

from rlgen.envs import TASKS, make_vec
from rlgen.sim.model import no_compiler_log
from rlgen.sim.task import State
from rlgen.sim.threads import ThreadedSim

BODIES = {
    "rlgen/SparseHalfCheetah-v0": ("HalfCheetah-v5", 1, 0.01),
    "rlgen/SparseAnt-v0": ("Ant-v5", 1, 0.01),
    "rlgen/SparseHumanoid-v0": ("Humanoid-v5", 5, 0.015),
}
every_body = pytest.mark.parametrize("env_id", list(BODIES))


@every_body
def test_it_is_gymnasiums_robot_with_another_reward(env_id):
    dense, frame_skip, _ = BODIES[env_id]
    with no_compiler_log():
        peer = gym.make(dense, frame_skip=frame_skip, exclude_current_positions_from_observation=False).unwrapped
    first, _ = peer.reset(seed=4)
    rng, expected = np.random.default_rng(0), []
    for _ in range(60):
        action = rng.uniform(peer.action_space.low, peer.action_space.high).astype(np.float32)
        observation, _, terminated, _, _ = peer.step(action)
        expected.append((action, observation, terminated, peer.data.qpos[0]))
        if terminated:
            peer.reset()
    goal = float(np.median([x for *_, x in expected]))
    env = make_vec(env_id, 1, seed=4, env_kwargs={"goal_x": goal, "max_episode_steps": -1})
    np.testing.assert_array_equal(env.reset()[0], first.astype(np.float32))
    for action, observation, terminated, x in expected:
        observations, rewards, dones, infos = env.step(action[None])
        last = infos[0]["terminal_observation"] if terminated else observations[0]
        np.testing.assert_allclose(last, observation, rtol=1e-6, atol=1e-6)
        assert (rewards[0], dones[0]) == (float(x > goal), terminated)
    env.close()
    peer.close()


@every_body
def test_an_episode_is_500_steps_of_the_stated_time(env_id):
    _, _, seconds = BODIES[env_id]
    assert TASKS[env_id]().control_step_s == pytest.approx(seconds)
    assert gym.spec(env_id).max_episode_steps == 500


@every_body
def test_random_actions_are_never_paid(env_id):
    env = make_vec(env_id, 4, seed=0)
    env.reset()
    rng = np.random.default_rng(0)
    low, high = env.action_space.low, env.action_space.high
    rewards = [env.step(rng.uniform(low, high, (4, len(low))).astype(np.float32))[1] for _ in range(500)]
    assert np.abs(rewards).max() == 0.0
    env.close()


@every_body
def test_the_line_is_five_metres_away_and_lies_on_the_unpaid_side(env_id):
    task = TASKS[env_id]()
    sim = ThreadedSim(task, 3, None, n_threads=1)
    sim.reset(range(3))
    fields = {name: array.copy() for name, array in vars(sim.now).items()}
    fields["qpos"][:, 0] = 4.99, 5.0, 5.01
    after = State(**fields)
    assert task.reward(after, np.zeros((3, sim.model.nu)), after).tolist() == [0, 0, 1]
    sim.close()


def test_a_weight_adds_a_term_of_the_dense_reward():
    env = make_vec("rlgen/SparseAnt-v0", 1, env_kwargs={"healthy_reward": 0.5})
    env.reset()
    assert env.step(np.zeros((1, 8), np.float32))[1][0] == pytest.approx(0.5)
    env.close()


def test_numbers_of_noise_can_be_observed():
    """They have mean 0 and variance 1, are the same for the same state, and depend on nothing that is observed."""
    noisy, plain = (
        make_vec("rlgen/SparseHalfCheetah-v0", 4, seed=0, env_kwargs=kwargs) for kwargs in ({"noise_numbers": 6}, {})
    )
    rng, rows = np.random.default_rng(0), []
    noisy.reset(), plain.reset()
    for _ in range(500):
        actions = rng.uniform(-1, 1, (4, 6)).astype(np.float32)
        rows.append(noisy.step(actions)[0])
        np.testing.assert_array_equal(rows[-1][:, :18], plain.step(actions)[0])
    rows, noise = np.stack(rows), np.stack(rows)[:, :, 18:]
    assert noise.shape[2] == 6
    np.testing.assert_allclose(noise.mean((0, 1)), 0, atol=0.1)
    np.testing.assert_allclose(noise.std((0, 1)), 1, atol=0.05)
    correlations = np.corrcoef(rows.reshape(-1, 24).T)[18:]
    assert np.abs(correlations - np.eye(24)[18:]).max() < 0.12
    assert abs(np.corrcoef(noise[1:, :, 0].ravel(), noise[:-1, :, 0].ravel())[0, 1]) < 0.1
    state = noisy.state_dict()
    after = noisy.step(actions)[0]
    noisy.load_state_dict(state)
    np.testing.assert_array_equal(noisy.step(actions)[0], after)
    noisy.close(), plain.close()


def test_an_ant_on_its_back_ends_the_episode_only_if_asked():
    upright = np.array([0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0])
    over = np.array([0.0, 0.0, 0.5, 0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0])
    side = np.array([0.0, 0.0, 0.5, np.sqrt(0.6), np.sqrt(0.4), 0.0, 0.0])
    qpos = np.concatenate([np.stack([upright, over, side]), np.zeros((3, 8))], 1)
    state = State(qpos=qpos, qvel=np.zeros((3, 14)))
    kind = TASKS["rlgen/SparseAnt-v0"]
    assert kind().terminated(state).tolist() == [False, False, False]
    assert kind(end_on_back=True).terminated(state).tolist() == [False, True, False]
