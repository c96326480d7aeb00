"""A reward source that pays wrongly is named; an episode's last observation is asked for only where it is read."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.sb3 import Relabel, RelabelReplay, WeightedReward


class Pays:
    """A source that pays what it is given for B transitions."""

    def __init__(self, reward: Any, reads_next_observations: bool = True):
        self.pay, self.reads_next_observations = reward, reads_next_observations

    def update(self, batch: Transitions) -> dict[str, torch.Tensor]:
        return {}

    def reward(self, batch: Transitions) -> Any:
        return self.pay(len(batch))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Short(gym.Env):
    """Four steps, ended by the task or by a limit."""

    observation_space, action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (1,))

    def __init__(self, falls: bool = True):
        self.falls = falls

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.t += 1
        over = self.t == 4
        return np.full(2, self.t / 4, np.float32), 0.0, over and self.falls, over and not self.falls, {}


class Blind(VecEnvWrapper):
    """Forgets the last observations of episodes."""

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        *others, infos = self.venv.step_wait()
        kept = [{k: v for k, v in info.items() if k != "terminal_observation"} for info in infos]
        return *others, kept


def learn(source: Any, algorithm: Any = PPO, blind: bool = False, falls: bool = True) -> Any:
    env: Any = DummyVecEnv([lambda: Short(falls)])
    options = {"n_steps": 16, "batch_size": 16} if algorithm is PPO else {"learning_starts": 8, "buffer_size": 64}
    model = algorithm("MlpPolicy", Blind(env) if blind else env, device="cpu", seed=0, **options)
    callback: Any = Relabel({"mine": WeightedReward(source)})
    if algorithm is SAC:
        callback = RelabelReplay({"mine": WeightedReward(source)})
        callback.steps.enough = 4
    return model.learn(16, callback=callback)


@pytest.mark.parametrize("algorithm", [PPO, SAC])
@pytest.mark.parametrize(
    ("pay", "got"),
    [
        (lambda n: torch.zeros(n - 1), "one of shape"),
        (lambda n: torch.zeros(n, 1), "one of shape"),
        (lambda n: torch.full((n,), torch.nan), "NaN or infinity for"),
        (lambda n: torch.full((n,), torch.inf), "NaN or infinity for"),
        (lambda n: np.zeros(n), "a ndarray"),
        (lambda n: 0.0, "a float"),
    ],
)
def test_a_source_that_pays_wrongly_is_named(algorithm: Any, pay: Any, got: str) -> None:
    with pytest.raises(InputError, match=rf"the reward source 'mine'; got {got}.*; fix the `reward` of Pays"):
        learn(Pays(pay), algorithm)


@pytest.mark.parametrize("kind", [Relabel, RelabelReplay])
def test_a_source_without_its_name_and_weight_is_refused(kind: Any) -> None:
    source = Pays(torch.zeros)
    for wrong, got in ((source, "got Pays"), ({"mine": source}, "got a dictionary of Pays")):
        with pytest.raises(InputError, match=rf"in a WeightedReward; {got}; write e\.g\. Relabel"):
            kind(wrong)


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_an_end_that_nothing_reads_may_be_unknown(algorithm: Any) -> None:
    assert learn(Pays(torch.zeros, False), algorithm, blind=True).num_timesteps == 16


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_an_end_that_a_source_reads_is_asked_for(algorithm: Any) -> None:
    with pytest.raises(InputError, match=r"'terminal_observation' .*which mine must see; got a vector environment"):
        learn(Pays(torch.zeros), algorithm, blind=True)


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_an_end_by_a_time_limit_is_asked_for(algorithm: Any) -> None:
    with pytest.raises(InputError, match=r"which the value after a time limit must see"):
        learn(Pays(torch.zeros, False), algorithm, blind=True, falls=False)
