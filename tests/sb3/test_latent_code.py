"""The code of an episode beside its observations."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3 import LatentCode
from rlgen.sb3.latent_code import latent_code

CAR = "rlgen/SparseMountainCar-v0"  # observations of two numbers, an action of one


def car(codes: int = 3, code: int | None = None, seed: int = 0, n_envs: int = 4) -> LatentCode:
    return LatentCode(make_vec(CAR, n_envs, seed, env_kwargs={"max_episode_steps": 5}), codes, code, seed)


def pushes(steps: int, n_envs: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, n_envs, 1)).astype(np.float32)


def test_a_code_holds_for_an_episode_its_last_observation_included() -> None:
    env, known = car(), []
    shown = env.reset()
    before = shown[:, 2:]
    for actions in pushes(20):
        shown, _, dones, infos = env.step(actions)
        for number in np.flatnonzero(dones):
            assert np.array_equal(infos[number]["terminal_observation"][2:], before[number])
            known.append(before[number].argmax())
        assert np.array_equal(shown[~dones, 2:], before[~dones])
        before = shown[:, 2:]
        assert np.array_equal(np.sort(before, -1), np.tile([0, 0, 1], (4, 1)))
    assert len(known) == 16
    assert set(known) == {0, 1, 2}


def test_below_it_nothing_changes() -> None:
    env, bare = car(), make_vec(CAR, 4, 0, env_kwargs={"max_episode_steps": 5})
    np.testing.assert_array_equal(env.reset()[:, :2], bare.reset())
    for actions in pushes(12):
        (shown, rewards, dones, infos), (seen, earned, ended, told) = env.step(actions), bare.step(actions)
        np.testing.assert_array_equal(shown[:, :2], seen)
        np.testing.assert_array_equal(rewards, earned)
        np.testing.assert_array_equal(dones, ended)
        for number in np.flatnonzero(ended):
            last = infos[number].pop("terminal_observation")
            np.testing.assert_array_equal(last[:2], told[number].pop("terminal_observation"))
            assert infos[number]["TimeLimit.truncated"] == told[number]["TimeLimit.truncated"]


def test_codes_are_all_alike_likely() -> None:
    env = car(n_envs=1000)
    counts = env.reset()[:, 2:].sum(0)
    assert np.square(counts - 1000 / 3).sum() / (1000 / 3) < 13.8  # of 1,000 fair draws, one in 1,000 is beyond


def test_a_code_that_is_asked_for_is_the_only_one() -> None:
    env = car(code=1)
    shown = [env.reset(), *(env.step(actions)[0] for actions in pushes(12))]
    assert all(np.array_equal(each[:, 2:], np.tile([0, 1, 0], (4, 1))) for each in shown)


def test_the_space_has_the_codes() -> None:
    space = car().observation_space
    assert isinstance(space, gym.spaces.Box)
    assert space.shape == (5,)
    assert space.low[2:].tolist() == [0] * 3
    assert space.high[2:].tolist() == [1] * 3
    assert space.contains(car().reset()[0])


def test_the_same_seed_draws_the_same_codes_also_one_that_a_model_gives() -> None:
    def codes(env: LatentCode) -> list:
        return [env.reset()[:, 2:].argmax(-1).tolist() for _ in range(8)]

    assert codes(car()) == codes(car())
    assert codes(car()) != codes(car(seed=1))
    models = [PPO("MlpPolicy", car(seed=seed), n_steps=8, batch_size=8, seed=7, device="cpu") for seed in (0, 1)]
    assert codes(models[0].get_env()) == codes(models[1].get_env())


def test_saved_in_the_midst_of_episodes_it_goes_on_alike() -> None:
    first, second = car(), car(seed=5)
    assert first.can_resume
    first.reset()
    second.reset()
    for actions in pushes(7):
        first.step(actions)
    second.load_state_dict(decode(*encode(first.state_dict())))
    np.testing.assert_array_equal(second.current_observations(), first.current_observations())
    for actions in pushes(12):
        one, other = first.step(actions), second.step(actions)
        for mine, theirs in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("codes", "code"), [(1, None), (3, 3), (3, -1)])
def test_codes_that_cannot_be_are_refused(codes: int, code: int | None) -> None:
    with pytest.raises(InputError, match="2 codes"):
        car(codes, code)


def test_observations_that_are_not_flat_are_refused() -> None:
    image = gym.spaces.Box(0, 255, (4, 4, 3), np.uint8)

    class Picture(gym.Env):
        observation_space, action_space = image, gym.spaces.Discrete(2)

    with pytest.raises(InputError, match="flat observations"):
        LatentCode(make_vec_env(Picture, 1), 2)


def test_an_environment_without_codes_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match="LatentCode"):
        latent_code(make_vec(CAR, 1))
