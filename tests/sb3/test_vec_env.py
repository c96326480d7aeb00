"""The SB3 vector environments of both backends."""

import json

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.envs import make_vec
from rlgen.errors import InputError

BACKENDS = ["threads", "gymnasium"]
both_backends = pytest.mark.parametrize("backend", BACKENDS)


def random_actions(env, steps: int, seed: int = 0) -> np.ndarray:
    space = env.action_space
    return np.random.default_rng(seed).uniform(space.low, space.high, (steps, env.num_envs, *space.shape))


def roll(env, actions: np.ndarray) -> list[tuple]:
    return [env.step(action.astype(np.float32)) for action in actions]


def assert_identical(left: list[tuple], right: list[tuple]) -> None:
    for (o, r, d, infos), (other_o, other_r, other_d, other_infos) in zip(left, right, strict=True):
        np.testing.assert_array_equal(o, other_o)
        np.testing.assert_array_equal(r, other_r)
        np.testing.assert_array_equal(d, other_d)
        for info, other in zip(infos, other_infos, strict=True):
            assert info.get("TimeLimit.truncated", False) == other.get("TimeLimit.truncated", False)
            assert ("episode" in info) == ("episode" in other)
            if "episode" in info:
                np.testing.assert_array_equal(info["terminal_observation"], other["terminal_observation"])
                assert info["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-6)
                assert info["episode"]["l"] == other["episode"]["l"]


@pytest.mark.parametrize("env_id", ["Ant-v5", "Humanoid-v5"])
def test_both_backends_give_the_same_rollout(env_id):
    threads, reference = (
        make_vec(env_id, 3, seed=11, backend=b, env_kwargs={"max_episode_steps": 50}) for b in BACKENDS
    )
    assert threads.observation_space == reference.observation_space
    assert threads.action_space == reference.action_space
    np.testing.assert_array_equal(threads.reset(), reference.reset())
    actions = random_actions(threads, 120)
    assert_identical(roll(threads, actions), roll(reference, actions))
    threads.close()
    reference.close()


@both_backends
def test_arrays_are_float32_and_fresh(backend):
    env = make_vec("Hopper-v5", 2, backend=backend)
    first = env.reset()
    kept = first.copy()
    observations, rewards, dones, infos = env.step(random_actions(env, 1)[0])
    assert (first.dtype, observations.dtype, rewards.dtype, dones.dtype) == (np.float32,) * 3 + (np.bool_,)
    np.testing.assert_array_equal(first, kept)
    assert len(infos) == 2
    assert infos[0] is not infos[1]
    env.close()


@both_backends
def test_the_terminal_observation_is_the_last_of_the_old_episode(backend):
    env = make_vec("HalfCheetah-v5", 2, seed=1, backend=backend, env_kwargs={"max_episode_steps": 4})
    endless = make_vec("HalfCheetah-v5", 2, seed=1, backend=backend, env_kwargs={"max_episode_steps": -1})
    env.reset()
    endless.reset()
    actions = random_actions(env, 4)
    observations, _, dones, infos = roll(env, actions)[-1]
    undisturbed = roll(endless, actions)
    assert dones.all()
    for i, info in enumerate(infos):
        np.testing.assert_array_equal(info["terminal_observation"], undisturbed[-1][0][i])
        assert info["terminal_observation"].dtype == np.float32
        assert info["TimeLimit.truncated"] is True
        assert info["episode"]["l"] == 4
        assert info["episode"]["r"] == pytest.approx(sum(step[1][i] for step in undisturbed), abs=1e-5)
        assert info["episode"]["t"] >= 0
        assert not np.array_equal(observations[i], info["terminal_observation"])
    env.close()
    endless.close()


@both_backends
def test_a_fall_is_not_a_time_limit_even_in_the_last_step(backend):
    env = make_vec("Humanoid-v5", 1, seed=0, backend=backend)
    env.reset()
    actions = random_actions(env, 200)
    fall = next(step for step, result in enumerate(roll(env, actions), start=1) if result[2][0])
    env.close()
    env = make_vec("Humanoid-v5", 1, seed=0, backend=backend, env_kwargs={"max_episode_steps": fall})
    env.reset()
    *_, [info] = roll(env, actions[:fall])[-1]
    assert info["episode"]["l"] == fall
    assert info["TimeLimit.truncated"] is False
    env.close()


@both_backends
def test_a_saved_state_goes_on_bit_for_bit_through_json(backend):
    def make(seed: int):
        env = make_vec("Ant-v5", 2, seed=seed, backend=backend, env_kwargs={"max_episode_steps": 30})
        env.reset()
        return env

    env = make(5)
    actions = random_actions(env, 50)
    last = roll(env, actions[:20])[-1][0]
    assert env.can_resume
    text = json.dumps(env.state_dict(), default=lambda array: array.tolist())
    expected = roll(env, actions[20:])
    other = make(99)
    other.load_state_dict(json.loads(text))
    np.testing.assert_array_equal(other.current_observations(), last)
    resumed = roll(other, actions[20:])
    assert_identical(expected, resumed)
    assert sum(result[2].sum() for result in resumed) >= 2
    env.close()
    other.close()


@both_backends
def test_a_state_saved_before_the_first_reset_keeps_its_seed(backend):
    env, other = (make_vec("Hopper-v5", 2, seed=seed, backend=backend) for seed in (8, 9))
    other.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(env.reset(), other.reset())
    env.close()
    other.close()


def test_a_state_of_another_environment_is_refused():
    ant, hopper, reference = make_vec("Ant-v5", 1), make_vec("Hopper-v5", 1), make_vec("Ant-v5", 2, backend="gymnasium")
    with pytest.raises(InputError, match="expected a state of Hopper-v5 on the threads backend; got one of Ant-v5"):
        hopper.load_state_dict(ant.state_dict())
    with pytest.raises(InputError, match="on the gymnasium backend; got one of Ant-v5 on the threads"):
        reference.load_state_dict(ant.state_dict())
    single = make_vec("Ant-v5", 1, backend="gymnasium")
    with pytest.raises(InputError, match="expected 2 environments, margin rule native; got a state of 1"):
        reference.load_state_dict(single.state_dict())
    for env in (ant, hopper, reference, single):
        env.close()


def test_an_environment_whose_state_is_hidden_says_so_only_when_asked():
    env = make_vec("CartPole-v1", 2)
    env.reset()
    assert not env.can_resume
    with pytest.raises(InputError, match="got CartPole-v1; resume the learner without its environment"):
        env.state_dict()
    env.close()


def test_legacy_margins_are_the_same_on_both_backends():
    threads, reference = (make_vec("Ant-v5", 1, seed=2, backend=b, margin_rule="legacy") for b in BACKENDS)
    assert threads.margin_rule == reference.margin_rule == "legacy"
    threads.reset()
    reference.reset()
    actions = random_actions(threads, 40)
    assert_identical(roll(threads, actions), roll(reference, actions))
    threads.close()
    reference.close()


def test_a_second_reset_goes_on_with_the_generators_and_seed_starts_them_again():
    env = make_vec("Hopper-v5", 2, seed=4)
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first, second)
    env.seed(4)
    np.testing.assert_array_equal(env.reset(), first)
    alone = make_vec("Hopper-v5", 1, seed=5)
    np.testing.assert_array_equal(alone.reset()[0], first[1])
    env.close()
    alone.close()


def test_actions_of_a_wrong_shape_are_refused():
    env = make_vec("Hopper-v5", 2)
    env.reset()
    with pytest.raises(InputError, match=r"actions of shape \(2, 3\) for Hopper-v5; got shape \(3,\)"):
        env.step(np.zeros(3))
    env.close()


def test_what_the_shared_simulator_cannot_do_is_refused():
    env = make_vec("Hopper-v5", 2)
    assert env.get_attr("margin_rule") == ["native", "native"]
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.env_is_wrapped(gym.wrappers.TimeLimit) == [False, False]
    with pytest.raises(InputError, match='backend="gymnasium"'):
        env.env_method("set_state")
    env.close()


@both_backends
def test_ppo_learns_on_it_and_is_evaluated_without_a_monitor(backend):
    env = make_vec("Hopper-v5", 2, backend=backend)
    model = PPO("MlpPolicy", VecNormalize(env), n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
    model.learn(256)
    assert len(model.ep_info_buffer) > 0
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=2, return_episode_rewards=True)
    assert len(returns) == len(lengths) == 2
    env.close()


def test_ppo_gives_the_same_policy_for_any_number_of_threads():
    weights = []
    for n_threads in (1, 3):
        env = make_vec("HalfCheetah-v5", 3, seed=1, n_threads=n_threads)
        model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=1, device="cpu").learn(192)
        weights.append(model.policy.action_net.weight.detach().numpy().copy())
        env.close()
    np.testing.assert_array_equal(*weights)
