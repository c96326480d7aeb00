"""An on-policy model goes on exactly where it stopped."""

import copy
import io
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import HumanOutputFormat, KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.errors import InputError
from rlgen.sb3 import load_model_state, model_state
from rlgen.sb3.adaptive_rate import KLAdaptiveLR
from rlgen.system.rng import rng_state, set_rng_state


class Counter(gym.Env):
    """Observes how many steps it has made since ever; needs no state of its own but that."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self) -> None:
        self.time = 0

    def observe(self) -> np.ndarray:
        return np.array([np.sin(self.time), np.cos(self.time)], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        return self.observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.time += 1
        return self.observe(), float(-(action[0] ** 2)), False, self.time % 5 == 0, {}


class Rows(KVWriter):
    """Log lines as dictionaries, without the clock's."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.rows.append({k: v for k, v in key_values.items() if not k.startswith("time/")} | {"step": step})

    def close(self) -> None: ...


def make(algorithm: type, seed: int = 0, rows: Rows | None = None, screen: io.StringIO | None = None, **more: Any):
    env = DummyVecEnv([Counter] * 2)
    settings = {"n_steps": 8, "seed": seed, "device": "cpu"} | more
    if algorithm is not A2C:
        settings |= {"batch_size": 8, "n_epochs": 2}
    model = algorithm("MlpLstmPolicy" if algorithm is RecurrentPPO else "MlpPolicy", env, **settings)
    model.set_logger(Logger(None, [rows or Rows(), HumanOutputFormat(screen or io.StringIO())]))
    return model


class SaveAt(BaseCallback):
    """Copies everything at the start of the rollout at `step`."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == self.step:
            times = [env.time for env in self.model.get_env().envs]
            self.saved = copy.deepcopy((model_state(self.model), times, rng_state()))


SETTINGS: dict[str, Callable[[], dict[str, Any]]] = {
    "constant rate": dict,
    "adaptive rate": lambda: {"learning_rate": KLAdaptiveLR(3e-4, 0.01)},
    "gSDE": lambda: {"use_sde": True},
    "gSDE drawn often": lambda: {"use_sde": True, "sde_sample_freq": 3},
}


@pytest.fixture
def own_random_numbers() -> Iterator[None]:
    state = rng_state()
    yield
    set_rng_state(state)


@pytest.mark.usefixtures("own_random_numbers")
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("algorithm", [PPO, A2C, RecurrentPPO])
def test_a_loaded_model_goes_on_bit_for_bit_with_its_log(algorithm: type, settings: Callable[[], dict]) -> None:
    whole, rest = Rows(), Rows()
    model, save = make(algorithm, 0, whole, **settings()), SaveAt(32)
    model.learn(64, save)
    state, times, random = save.saved
    other = make(algorithm, 7, rest, **settings())
    load_model_state(other, state)
    for env, time in zip(other.get_env().envs, times, strict=True):
        env.time = time
    set_rng_state(random)
    other.learn(32, reset_num_timesteps=False)
    assert rest.rows == whole.rows[2:]
    for name, value in model.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value), name


@pytest.mark.usefixtures("own_random_numbers")
def test_after_a_training_a_loaded_model_draws_the_noise_of_its_next_one() -> None:
    model = make(PPO, use_sde=True)
    model.learn(32)
    state, random = copy.deepcopy(model_state(model)), rng_state()
    other = make(PPO, 7, use_sde=True)
    load_model_state(other, state)
    for each in (model, other):
        set_rng_state(random)
        for env in each.get_env().envs:
            env.time = 16
        each.learn(16, reset_num_timesteps=False)
    for name, value in model.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value), name


@pytest.mark.usefixtures("own_random_numbers")
def test_a_loaded_models_log_prints_as_a_table() -> None:
    model = make(PPO)
    model.learn(32)
    screen = io.StringIO()
    other = make(PPO, screen=screen)
    load_model_state(other, copy.deepcopy(model_state(model)))
    other.learn(16, reset_num_timesteps=False)
    assert "approx_kl" in screen.getvalue()


def test_counters_and_episodes_come_back() -> None:
    model = make(PPO)
    model.ep_info_buffer = deque([{"r": 1.5, "l": 5, "t": 0.25}], maxlen=100)
    model.num_timesteps, model._n_updates = 48, 6
    other = make(PPO)
    load_model_state(other, model_state(model))
    assert (other.num_timesteps, other._n_updates) == (48, 6)
    assert list(other.ep_info_buffer) == [{"r": 1.5, "l": 5, "t": 0.25}]
    assert other.ep_info_buffer.maxlen == model.ep_info_buffer.maxlen


STATES = {
    "numbers for starts": (PPO, {}, "last_episode_starts", torch.zeros(2)),
    "starts of other environments": (PPO, {}, "last_episode_starts", torch.zeros(3, dtype=torch.bool)),
    "memory of other environments": (RecurrentPPO, {}, "memory", [torch.zeros(1, 3, 256)] * 4),
    "noise of other actions": (PPO, {"use_sde": True}, "sde_noise", [torch.zeros(3, 1), torch.zeros(2, 3, 1)]),
}


@pytest.mark.usefixtures("own_random_numbers")
@pytest.mark.parametrize(("algorithm", "settings", "name", "damage"), STATES.values(), ids=STATES)
def test_a_state_that_does_not_fit_the_model_is_refused(
    algorithm: type, settings: dict[str, Any], name: str, damage: Any
) -> None:
    saved = SaveAt(32)
    make(algorithm, **settings).learn(64, saved)
    state = saved.saved[0]
    with pytest.raises(InputError, match="load the state into"):
        load_model_state(make(algorithm, **settings), {**state, name: damage})


@pytest.mark.parametrize(("name", "damage"), [("logged", {"train/loss": [[]]}), ("episodes", [[[None], 5, 0.25]])])
def test_numbers_that_are_none_are_noticed_when_they_are_loaded(name: str, damage: Any) -> None:
    """A run's checkpoint turns what is raised here into an error that names it, and the way back."""
    model = make(PPO)
    model.set_logger(Logger(None, []))
    with pytest.raises(TypeError):
        load_model_state(model, {**model_state(model), name: damage})
