"""Our ids are Gymnasium's: both environment checkers pass, both backends agree, any of them resumes bit for bit."""

import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from rlgen.envs import CLASSIC_TASKS, TASKS, make_vec
from rlgen.envs.registration import MAX_EPISODE_STEPS
from rlgen.errors import InputError

OURS = [env_id for env_id in (TASKS | CLASSIC_TASKS) if env_id.startswith("rlgen/")]
every_task = pytest.mark.parametrize("env_id", OURS)


def roll(env, steps: int, seed: int = 0) -> list[tuple]:
    space, rng = env.action_space, np.random.default_rng(seed)
    actions = rng.uniform(space.low, space.high, (steps, env.num_envs, *space.shape)).astype(np.float32)
    return [env.step(action)[:3] for action in actions]


def assert_identical(left: list[tuple], right: list[tuple]) -> None:
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_task_of_ours_is_registered_and_nothing_else():
    assert set(OURS) == set(MAX_EPISODE_STEPS)
    assert {env_id for env_id in gym.registry if env_id.startswith("rlgen/")} == set(OURS)


def test_importing_the_package_is_all_that_gymnasium_needs():
    check = "import gymnasium; env = gymnasium.make('rlgen.envs:rlgen/SparseMountainCar-v0'); env.reset()"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@every_task
@pytest.mark.filterwarnings("ignore:.*A Box observation space m.*imum value is -?infinity")
def test_gymnasiums_checker_passes(env_id):
    check_env(gym.make(env_id).unwrapped, skip_render_check=True)


@every_task
@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric and normalized Box action space")
def test_stable_baselines_checker_passes(env_id):
    check_env_for_sb3(gym.make(env_id))


@every_task
def test_both_backends_give_the_same_rollout(env_id):
    settings = {"seed": 11, "env_kwargs": {"max_episode_steps": 40}}
    own, reference = make_vec(env_id, 3, **settings), make_vec(env_id, 3, backend="gymnasium", **settings)
    assert own.backend == ("numpy" if env_id in CLASSIC_TASKS else "threads")
    assert (own.observation_space, own.action_space) == (reference.observation_space, reference.action_space)
    np.testing.assert_array_equal(own.reset(), reference.reset())
    for one, other in zip(roll(own, 90), roll(reference, 90), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    own.close()
    reference.close()


@every_task
@pytest.mark.parametrize("backend", ["auto", "gymnasium"])
def test_a_saved_state_goes_on_bit_for_bit_through_json(env_id, backend):
    def make(seed: int):
        env = make_vec(env_id, 2, seed=seed, backend=backend, env_kwargs={"max_episode_steps": 30})
        env.reset()
        return env

    env, other = make(5), make(99)
    last = roll(env, 20)[-1][0]
    assert env.can_resume
    text = json.dumps(env.state_dict(), default=lambda array: array.tolist())
    expected = roll(env, 30, seed=1)
    other.load_state_dict(json.loads(text))
    np.testing.assert_array_equal(other.current_observations(), last)
    resumed = roll(other, 30, seed=1)
    assert_identical(expected, resumed)
    assert sum(done.sum() for _, _, done in resumed) >= 2
    env.close()
    other.close()


@every_task
def test_results_do_not_depend_on_the_other_environments(env_id):
    four, one = make_vec(env_id, 4, seed=6), make_vec(env_id, 1, seed=8)
    assert np.abs(four.reset()[2] - one.reset()[0]).max() == 0
    actions = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 4, *four.action_space.shape)).astype(np.float32)
    for action in actions:
        np.testing.assert_allclose(four.step(action)[0][2], one.step(action[2:3])[0][0], rtol=0, atol=1e-6)
    four.close()
    one.close()


def test_keyword_arguments_reach_the_task_by_every_way():
    for make in (
        lambda: gym.make("rlgen/SparseHalfCheetah-v0", goal_x=-1.0),
        lambda: make_vec("rlgen/SparseHalfCheetah-v0", 1, env_kwargs={"goal_x": -1.0}),
    ):
        env = make()
        env.reset()
        action = np.zeros((1, 6), np.float32) if hasattr(env, "num_envs") else np.zeros(6, np.float32)
        assert env.step(action)[1] == 1.0
        env.close()


def test_ppo_learns_on_a_classic_task():
    env = make_vec("rlgen/SparseCartPoleSwingup-v0", 2, env_kwargs={"max_episode_steps": 20})
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu").learn(64)
    assert len(model.ep_info_buffer) > 0


@pytest.mark.parametrize("env_id", ["rlgen/SparseHalfCheetah-v0", "rlgen/SparseMountainCar-v0", "rlgen/SparseAnt-v0"])
def test_an_action_that_is_held_is_the_same_action_several_times(env_id):
    """Positions are those after so many steps, constant rewards add up, and time limits count actions."""
    goal = {"goal_x": -1.0} if "Cheetah" in env_id else {}
    single, held = (make_vec(env_id, 2, seed=3, env_kwargs={**goal, **more}) for more in ({}, {"action_repeat": 4}))
    np.testing.assert_array_equal(single.reset(), held.reset())
    rng = np.random.default_rng(0)
    for _ in range(5):
        action = rng.uniform(single.action_space.low, single.action_space.high, (2, *single.action_space.shape))
        action = 0.3 * action.astype(np.float32)  # so that no Ant falls in between
        rewards = 0
        for _ in range(4):
            observed, reward, _, _ = single.step(action)
            rewards = rewards + reward
        found, paid, _, _ = held.step(action)
        size = min(observed.shape[1], 29)
        np.testing.assert_allclose(found[:, :size], observed[:, :size], rtol=1e-5, atol=1e-5)
        if goal:
            np.testing.assert_array_equal(paid, rewards)
            assert (paid == 4).all()
    limit = gym.spec(env_id).max_episode_steps
    assert held.sim.time_limit == -(-limit // 4)
    assert make_vec(env_id, 1, env_kwargs={"action_repeat": 4, "max_episode_steps": 7}).sim.time_limit == 7
    assert held.sim.task.control_step_s == pytest.approx(4 * single.sim.task.control_step_s)
    with pytest.raises(InputError, match="action_repeat"):
        make_vec(env_id, 1, env_kwargs={"action_repeat": 0})


def test_an_action_is_held_through_gym_make_too():
    ours, peer = (
        make_vec("rlgen/SparseAnt-v0", 1, seed=2, env_kwargs={"action_repeat": 3}),
        gym.make("rlgen/SparseAnt-v0", action_repeat=3),
    )
    np.testing.assert_allclose(ours.reset()[0], peer.reset(seed=2)[0].astype(np.float32))
    action = np.full(8, 0.3, np.float32)
    for _ in range(5):
        np.testing.assert_allclose(ours.step(action[None])[0][0], peer.step(action)[0], rtol=1e-6, atol=1e-6)


def test_a_held_action_has_one_time_limit_on_every_backend_and_events_count_once():
    kwargs = {"action_repeat": 4}
    peer = make_vec("rlgen/SparseAnt-v0", 1, backend="gymnasium", env_kwargs=kwargs)
    assert peer.envs[0].spec.max_episode_steps == 125
    for env_id, factor in (("rlgen/SparseMountainCar-v0", 1), ("rlgen/SwimmerGather-v0", 1), ("rlgen/SparseAnt-v0", 4)):
        task = make_vec(env_id, 1, env_kwargs=kwargs).sim.task
        assert (1 if task.rewards_events else task.action_repeat) == factor
    with pytest.raises(InputError, match="action_repeat for a task of rlgen"):
        make_vec("Ant-v5", 1, env_kwargs=kwargs)
