"""What `rlgen train` makes, `rlgen evaluate` plays; spaces that no run can end with are refused before it begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rlgen.agents import LearnerConfig
from rlgen.agents.cli import main
from rlgen.agents.learner import make_model, policy_for
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import Result

KINDS = {"discrete": spaces.Discrete(3), "multi": spaces.MultiDiscrete([2, 3]), "binary": spaces.MultiBinary(3)}


class Choose(gym.Env):
    """Pays for nothing, and asks for actions of its own space."""

    observation_space = spaces.Box(-1, 1, (2,))

    def __init__(self, kind: str = "multi"):
        self.action_space = KINDS[kind]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(np.asarray(action, self.action_space.dtype))
        return np.zeros(2, np.float32), 0.0, False, False, {}


gym.register("Choose-v0", Choose, max_episode_steps=5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_run_with_kinds_of_action_ends_and_is_evaluated(kind: str, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    settings = [
        "--steps",
        "64",
        "--n-envs",
        "2",
        "--learner.n-steps",
        "32",
        "--learner.batch-size",
        "64",
        "--episodes",
        "2",
        "--threads",
        "1",
    ]
    options = ["--env", "Choose-v0", "--env-kwargs", f"kind={kind}", "--no-video", "--out", run]
    assert main(["train", "rl", *options, *settings]) == 0
    assert Result.read(run).returns.random_return == 0
    assert main(["evaluate", run, "--episodes", "2", "--n-envs", "2"]) == 0


SHORT = "--episodes 2 --threads 1 --no-video"
ROUNDS = f"--steps 64 --n-envs 2 --evaluate-every 0 {SHORT}"
ON = f"{ROUNDS} --learner.n-steps 32 --learner.batch-size 64"
LAKE = ["--env", "FrozenLake-v1", "--env-kwargs", "is_slippery=False"]


class Walk:
    """The way to the goal of FrozenLake."""

    def predict(self, observation: Any, **_: Any) -> tuple[np.ndarray, None]:
        return np.array([{0: 2, 1: 2, 2: 1, 6: 1, 10: 1, 14: 2}.get(int(place), 0) for place in observation]), None


@pytest.mark.parametrize(
    "words",
    [
        f"bc --bc.max-updates 20 --bc.check-every 20 {SHORT}",
        f"gail {ON} --gail.discriminator.batch-size 32 --gail.bc.max-updates 20 --gail.bc.check-every 20",
        f"sqil {ROUNDS} --learner.algorithm dqn",
        f"rl {ON}",
        f"explore {ON} --learner.normalize --curiosity rnd",
    ],
)
def test_observations_may_be_numbers_of_states(words: str, tmp_path: Path) -> None:
    env = make_vec("FrozenLake-v1", 2, env_kwargs={"is_slippery": False})
    Demonstrations.record(Walk(), env, 4).save(tmp_path / "lake.npz")
    demos = [] if words.startswith(("rl", "explore")) else ["--demos", str(tmp_path / "lake.npz")]
    assert main(["train", *words.split(), *LAKE, *demos, "--out", str(tmp_path / "run")]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "2", "--n-envs", "2"]) == 0


@pytest.mark.parametrize("kind", list(KINDS))
def test_discrete_observations_reach_a_policy_one_hot(kind: str) -> None:
    env: Any = SimpleNamespace(observation_space=KINDS[kind], action_space=spaces.Discrete(2), num_envs=2)
    chosen = policy_for(LearnerConfig(), env.observation_space)["policy_kwargs"]["features_extractor_class"]
    assert chosen(env.observation_space).features_dim == spaces.flatdim(env.observation_space)


@pytest.mark.parametrize(
    ("observation", "action", "complaint"),
    [
        (spaces.Tuple([spaces.Box(-1, 1, (2,))]), KINDS["multi"], r"numeric observations .*; got Tuple"),
        (Choose.observation_space, spaces.Box(-np.inf, np.inf, (1,)), "actions within finite bounds"),
        (Choose.observation_space, spaces.MultiBinary([2, 2]), "discrete actions in one dimension"),
        (Choose.observation_space, spaces.Discrete(2, start=1), "counted from 0"),
        (Choose.observation_space, spaces.Tuple([spaces.Discrete(2)]), "action space; got Tuple"),
    ],
)
def test_spaces_that_no_run_can_end_with_are_refused_at_the_start(
    observation: spaces.Space, action: spaces.Space, complaint: str
) -> None:
    env: Any = SimpleNamespace(observation_space=observation, action_space=action, num_envs=2)
    with pytest.raises(InputError, match=complaint):
        make_model(LearnerConfig(n_steps=8), env, 0)
