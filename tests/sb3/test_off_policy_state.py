"""An off-policy model goes on exactly where it stopped."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN, TQC, CrossQ
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.errors import InputError
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3 import load_model_state, model_state
from rlgen.system.rng import rng_state, set_rng_state

TIME_LIMIT = 9
STATISTICS = ("obs_rms", "ret_rms", "returns")


class Rows(KVWriter):
    """Log lines as dictionaries, without the clock's."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        clocks = ("time/fps", "time/time_elapsed")
        self.rows.append({k: v for k, v in key_values.items() if k not in clocks} | {"step": step})

    def close(self) -> None: ...


def make(
    algorithm: type, rows: Rows | None = None, seed: int = 0, n_envs: int = 2, normalized: bool = False, **more: Any
) -> BaseAlgorithm:
    env_id = "CartPole-v1" if algorithm in (DQN, QRDQN) else "Pendulum-v1"
    env = make_vec_env(env_id, n_envs, seed=seed, env_kwargs={"max_episode_steps": TIME_LIMIT})
    env = VecNormalize(env) if normalized else env
    settings = {"learning_starts": 10, "batch_size": 8, "buffer_size": 500, "seed": seed, "device": "cpu"} | more
    model = algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, **settings)
    model.set_logger(Logger(None, [rows or Rows()]))
    return model


class SaveAt(BaseCallback):
    """Takes everything at the start of the rollout at `step`, through the form that a checkpoint has."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == self.step:
            state = {"model": model_state(self.model), "random": rng_state()}
            self.saved = copy.deepcopy(encode(state))
            self.envs = copy.deepcopy(self.model.get_env().unwrapped.envs)
            if (normalizer := self.model.get_vec_normalize_env()) is not None:
                self.statistics = {name: copy.deepcopy(getattr(normalizer, name)) for name in STATISTICS}


@pytest.fixture(autouse=True)
def own_random_numbers() -> Iterator[None]:
    state = rng_state()
    yield
    set_rng_state(state)


def wandering() -> OrnsteinUhlenbeckActionNoise:
    return OrnsteinUhlenbeckActionNoise(np.zeros(1), np.ones(1))


SMALL = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
CASES: dict[str, tuple[type, dict[str, Any]]] = {
    "SAC": (SAC, {}),
    "SAC in one environment, by episodes": (SAC, {"n_envs": 1, "train_freq": (1, "episode")}),
    "SAC of fixed entropy": (SAC, {"ent_coef": 0.1}),
    "SAC of three steps": (SAC, {"n_steps": 3}),
    "SAC of normalized observations": (SAC, {"normalized": True}),
    "SAC still at random": (SAC, {"learning_starts": 60}),
    "SAC with a full buffer": (SAC, {"buffer_size": 20}),
    "SAC that saves memory": (SAC, SMALL),
    "SAC that saves memory, full": (SAC, {**SMALL, "buffer_size": 20}),
    "TD3 with wandering noise": (TD3, {"action_noise": wandering()}),
    "TD3 with wandering noise in one environment": (TD3, {"action_noise": wandering(), "n_envs": 1}),
    "DDPG with normal noise": (DDPG, {"action_noise": NormalActionNoise(np.zeros(1), np.ones(1))}),
    "TQC": (TQC, {}),
    "CrossQ": (CrossQ, {}),
    "DQN": (DQN, {"exploration_fraction": 0.8, "target_update_interval": 6}),
    "QR-DQN": (QRDQN, {"exploration_fraction": 0.8, "target_update_interval": 6}),
}


@pytest.mark.parametrize(("algorithm", "more"), CASES.values(), ids=CASES)
def test_a_loaded_model_goes_on_bit_for_bit_with_its_log(algorithm: type, more: dict[str, Any]) -> None:
    by_episodes = "train_freq" in more
    half, end = (27, 54) if by_episodes else (40, 80)
    whole, rest, more = Rows(), Rows(), copy.deepcopy(more)
    model, save = make(algorithm, whole, **copy.deepcopy(more)), SaveAt(half)
    model.learn(end, save)
    other = make(algorithm, rest, 7, **more)
    state = decode(*save.saved)
    load_model_state(other, state["model"])
    other.get_env().unwrapped.envs = save.envs
    if "normalized" in more:
        vars(other.get_env()).update(save.statistics)
    set_rng_state(state["random"])
    other.learn(end - half, reset_num_timesteps=False)
    assert rest.rows
    assert rest.rows == whole.rows[-len(rest.rows) :]
    for name, value in model.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value), name
    for name, value in vars(model.replay_buffer).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(vars(other.replay_buffer)[name], value, err_msg=name)
    assert other.num_timesteps == model.num_timesteps


def test_no_more_of_the_buffer_is_saved_than_is_filled() -> None:
    model = make(SAC)
    model.learn(20)
    arrays = model_state(model)["off_policy"]["replay"]["arrays"]
    assert {len(array) for array in arrays.values()} == {10}


def test_a_buffer_forgets_what_it_held_before_it_was_loaded() -> None:
    model, other = make(SAC), make(SAC)
    model.learn(20)
    other.learn(40)
    load_model_state(other, model_state(model))
    assert not other.replay_buffer.observations[10:].any()
    assert other.replay_buffer.pos == 10


def test_wandering_noise_is_reset_again_by_every_later_training() -> None:
    model = make(TD3, action_noise=wandering())
    model.learn(20)
    noise = model.action_noise
    load_model_state(model, model_state(model))
    before = [each.noise_prev for each in noise.noises]
    noise.reset()
    assert all((each.noise_prev == previous).all() for each, previous in zip(noise.noises, before, strict=True))
    noise.reset(indices=[0])
    assert (noise.noises[0].noise_prev, noise.noises[1].noise_prev) == (0, before[1])
    noise.reset()
    assert not any(each.noise_prev.any() for each in noise.noises)


def test_successes_come_back() -> None:
    model, other = make(SAC), make(SAC)
    model.learn(10)
    model.ep_success_buffer.extend([True, False])
    load_model_state(other, model_state(model))
    assert list(other.ep_success_buffer) == [1.0, 0.0]


class OwnBuffer(ReplayBuffer): ...


class OwnNoise(ActionNoise):
    def __call__(self) -> np.ndarray:
        return np.zeros(1)


@pytest.mark.parametrize("more", [{"replay_buffer_class": OwnBuffer}, {"action_noise": OwnNoise()}])
def test_what_nobody_knows_how_to_save_is_refused(more: dict[str, Any]) -> None:
    model = make(SAC, **more)
    with pytest.raises(InputError):
        model_state(model)


def test_a_buffer_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="250 steps in 2 environments"):
        load_model_state(make(SAC), model_state(make(SAC, buffer_size=100)))
