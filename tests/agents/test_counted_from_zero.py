"""Discrete spaces that start at another number than 0 are refused by every command, with a wrapper that mends them."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.agents import BC, GAIL, RND
from rlgen.agents.cli import main
from rlgen.data import Demonstrations
from rlgen.data.spaces import require_counted_from_zero
from rlgen.errors import InputError

SPACES = {
    "one": spaces.Discrete(5, start=1),
    "many": spaces.MultiDiscrete([5, 2], start=[1, 0]),
    "dictionary": spaces.Dict({"place": spaces.Discrete(5, start=1), "speed": spaces.Box(-1, 1, (2,))}),
    "vector": spaces.Box(-1, 1, (2,)),
}


class Drawn(gym.Env):
    """Shows random observations of its space and takes actions of its own."""

    def __init__(self, observed: str = "vector", acted: str = "two"):
        self.observation_space = SPACES[observed]
        self.action_space = {"two": spaces.Discrete(2), **SPACES}[acted]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        return self.observation_space.sample(), 0.0, False, False, {}


def timed(**options: Any) -> gym.Env:
    return Monitor(gym.wrappers.TimeLimit(Drawn(**options), 5))


gym.register("test/Drawn-v0", Drawn, max_episode_steps=5)


@pytest.mark.parametrize("observed", ["one", "many", "dictionary"])
@pytest.mark.parametrize("acted", ["two", "one", "many"])
def test_the_wrapper_that_the_error_names_makes_the_spaces_count_from_zero(observed: str, acted: str) -> None:
    env: Any = Drawn(observed, acted)
    for _ in range(1 if acted == "two" else 2):
        with pytest.raises(InputError, match="counted from 0") as refused:
            require_counted_from_zero(env.observation_space, env.action_space)
        code = str(refused.value).split("with a wrapper: ")[1].split(", where")[0]
        env = eval(code, {"gymnasium": gym, "spaces": spaces, "np": np, "env": env})
    require_counted_from_zero(env.observation_space, env.action_space)
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        assert env.observation_space.contains(observation)
        observation = env.step(env.action_space.sample())[0]


@pytest.mark.parametrize(
    "words",
    [
        "train explore --steps 64 --curiosity vime",
        "train rl --steps 64 --learner.algorithm dqn",
        "train gail --steps 64 --demos demos.npz",
        "train bc --demos demos.npz",
        "train dagger --expert expert.zip --steps 64",
        "demos record --policy expert.zip --episodes 1",
        "evaluate expert.zip --episodes 1",
    ],
)
@pytest.mark.parametrize("space", ["observed=dictionary", "acted=one"])
def test_every_command_refuses_spaces_that_do_not_count_from_zero(
    words: str, space: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    PPO("MlpPolicy", DummyVecEnv([Drawn]), device="cpu").save("expert.zip")
    Demonstrations.record(PPO.load("expert.zip"), DummyVecEnv([timed]), 2).save("demos.npz")
    out = [] if words.startswith("evaluate") else ["--out", "made.npz"]
    assert main([*words.split(), "--env", "test/Drawn-v0", "--env-kwargs", space, *out]) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert "counted from 0; got" in said
    assert "register the task with a wrapper: gymnasium.wrappers.Transform" in said


@pytest.mark.parametrize("space", ["observed", "acted"])
def test_agents_in_python_refuse_spaces_that_do_not_count_from_zero(space: str) -> None:
    model = PPO("MlpPolicy", DummyVecEnv([lambda: Drawn(**{space: "one"})]), device="cpu")
    zero = PPO("MlpPolicy", DummyVecEnv([timed]), device="cpu")
    shown = Demonstrations.record(zero, zero.get_env(), 2)
    begins = (GAIL, shown), (BC, shown), (RND().begin,), (Demonstrations.record, model.get_env(), 2)
    for start, *arguments in begins:
        with pytest.raises(InputError, match="counted from 0"):
            start(model, *arguments)
