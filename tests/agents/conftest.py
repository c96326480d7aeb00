"""A small world with a known expert, for agents that must learn within seconds."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rlgen.agents import cli
from rlgen.agents.commands import policy_training
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.reports import report
from rlgen.runs import Metrics
from rlgen.sb3 import normalized_policy

from .sentences import SENTENCES

LIMIT = 0.4  # of Humanoid's actions
LEARNER = "--learner.n-steps 16 --learner.batch-size 32 --learner.n-epochs 1 --learner.hidden 8"
SMALL = {
    "bc": "--bc.max-updates 50 --bc.check-every 25 --bc.plain-below 0 --hidden 8",
    "gail": f"--n-envs 4 {LEARNER} --gail.bc.max-updates 50 --gail.bc.check-every 25 --gail.bc.plain-below 0 "
    "--gail.discriminator.hidden 8 --gail.discriminator.batch-size 32",
    "vime": "--n-envs 4",
    "explore": "--n-envs 4",
}
SMALL["rl"] = f"--n-envs 4 {LEARNER}"
SMALL["infogail"] = f"{SMALL['gail']} --gail.posterior.hidden 8 --gail.posterior.batch-size 32"
SMALL_VIME = "--vime.hidden 8 --vime.updates-per-rollout 2 --vime.batch-size 16"


class PointWorld(gym.Env):
    """A point in the wind, p' = p + action + 0.1 · noise, falls beyond 1.5. Pays 1 - |p|; 12 steps at most."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-LIMIT, LIMIT, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        angle, radius = self.np_random.uniform(0, 2 * np.pi), self.np_random.uniform(0.5, 1)
        self.place = radius * np.array([np.cos(angle), np.sin(angle)], np.float32)
        return self.place, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert np.abs(action).max() <= LIMIT * 1.00001, "an action outside the action space reached the environment"
        self.place = (self.place + action + 0.1 * self.np_random.normal(size=2)).astype(np.float32)
        distance = float(np.linalg.norm(self.place))
        return self.place, 1 - distance, distance > 1.5, False, {}


gym.register("PointWorld-v0", PointWorld, max_episode_steps=12)


class Expert:
    """Goes straight to the origin: action = -p, as far as the bounds allow."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return np.clip(-observation, -LIMIT, LIMIT), None


@dataclass
class Traffic:
    """What passed between a learner and its environments: lists over time of arrays over environments."""

    actions: list[np.ndarray] = field(default_factory=list)
    following: list[np.ndarray] = field(default_factory=list)
    """True next observations, at an episode's end its last one."""
    terminated: list[np.ndarray] = field(default_factory=list)
    ended: list[np.ndarray] = field(default_factory=list)


class Tap(VecEnvWrapper):
    """Notes the traffic, independently of what a learner or a callback makes of it."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.traffic = Traffic()

    def reset(self) -> Any:
        return self.venv.reset()

    def step_async(self, actions: np.ndarray) -> None:
        self.traffic.actions.append(np.array(actions))
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        following, terminated = np.array(observations), np.array(dones)
        for env in np.flatnonzero(dones):
            following[env] = infos[env]["terminal_observation"]
            terminated[env] = not infos[env]["TimeLimit.truncated"]
        self.traffic.following.append(following)
        self.traffic.terminated.append(terminated)
        self.traffic.ended.append(np.array(dones))
        return observations, rewards, dones, infos


class BufferSpy(BaseCallback):
    """Copies of the rollout buffer's arrays as the learner is about to use them, one dictionary per rollout."""

    NAMES = ("observations", "actions", "rewards", "values", "log_probs", "advantages", "returns")
    model: OnPolicyAlgorithm

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: list[dict[str, np.ndarray]] = []
        self.rates: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.rates.append(self.model.policy.optimizer.param_groups[0]["lr"])

    def _on_training_end(self) -> None:
        self._on_rollout_start()

    def _on_rollout_end(self) -> None:
        self.rollouts.append({name: np.array(getattr(self.model.rollout_buffer, name)) for name in self.NAMES})


@pytest.fixture
def spy() -> BufferSpy:
    return BufferSpy()


@pytest.fixture
def point_env():
    """`point_env(n)`: n point worlds behind a tap."""
    opened = []

    def make(n_envs: int = 4, seed: int = 0) -> Tap:
        opened.append(Tap(make_vec("PointWorld-v0", n_envs, seed, backend="gymnasium")))
        return opened[-1]

    yield make
    for env in opened:
        env.close()


@pytest.fixture
def point_ppo(point_env):
    """`point_ppo(n_envs=…, seed=…, **ppo)`: a small PPO on the point world."""

    def make(n_envs: int = 4, seed: int = 0, **changes: Any) -> PPO:
        settings: dict[str, Any] = {
            "n_steps": 16,
            "batch_size": 32,
            "n_epochs": 2,
            "gamma": 0.9,
            "gae_lambda": 0.8,
            "policy_kwargs": normalized_policy([16]),
            "device": "cpu",
        }
        return PPO("MlpPolicy", point_env(n_envs, seed), seed=seed, **(settings | changes))

    return make


@pytest.fixture(scope="session")
def point_demonstrations() -> Demonstrations:
    """Eight episodes of the expert."""
    env = make_vec("PointWorld-v0", 4, backend="gymnasium")
    demonstrations = Demonstrations.record(Expert(), env, episodes=8)
    env.close()
    return demonstrations


@pytest.fixture
def demos(point_demonstrations, tmp_path: Path) -> Path:
    path = tmp_path / "demos.npz"
    point_demonstrations.save(path)
    return path


@pytest.fixture
def rlgen_train(demos: Path, tmp_path: Path):
    """`rlgen_train("gail", "--steps", "320")`: the exit code of the command on the point world, in tmp_path/run."""

    def run(agent: str, *options: str, demos: Path = demos) -> int:
        where = ["--env", "PointWorld-v0", "--out", str(tmp_path / "run")]
        where += [] if agent in ("rl", "vime", "explore") else ["--demos", str(demos)]
        shared = ["--device", "cpu", "--no-video", "--episodes", "4"]
        small = f"{SMALL[agent]} {read_by_explore(options) if agent in ('vime', 'explore') else ''}"
        return cli.main(["train", agent, *where, *shared, *small.split(), *options])

    return run


def read_by_explore(options: tuple[str, ...]) -> str:
    """Small settings for those that `rlgen train explore` reads with such options; it refuses the others."""
    given = dict(pairwise(options))
    learner = "" if given.get("--learner.algorithm") == "sac" else LEARNER
    return f"{learner} {SMALL_VIME if given.get('--curiosity', 'vime') == 'vime' else ''}"


@pytest.fixture
def no_finish(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Leaves out the final evaluation, drawing and reporting; holds the arguments of each call."""
    calls: list[tuple] = []
    monkeypatch.setattr(policy_training, "finish", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(policy_training, "note_result", lambda *arguments: None)
    return calls


@pytest.fixture(scope="module")
def no_curves() -> Iterator[None]:
    """Reports without their figures of curves, which take most of the time of a tiny training."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(report, "_curves", lambda folder: None)
        yield


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch):
    """`with stop_after(128):` presses Ctrl-C when the metrics of step 128 are written."""

    @contextmanager
    def pressing(last: int) -> Iterator[None]:
        write = Metrics.write

        def press(metrics: Metrics, step: int, values: Any) -> None:
            write(metrics, step, values)
            if step == last:
                os.kill(os.getpid(), signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(Metrics, "write", press)
            yield

    return pressing


@pytest.fixture
def contents(tmp_path: Path):
    """`contents()`: every file of the run in tmp_path/run, by name."""
    run = tmp_path / "run"
    return lambda: {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture
def cheetah_demos(tmp_path: Path) -> Path:
    """A file of 40 random rows of rlgen/SparseHalfCheetah-v0."""
    rng = np.random.default_rng(0)
    episode = Episode(
        observations=rng.normal(size=(41, 18)).astype(np.float32),
        actions=rng.uniform(-1, 1, (40, 6)).astype(np.float32),
        rewards=np.zeros(40, np.float32),
        terminated=False,
    )
    path = tmp_path / "demos.npz"
    Demonstrations.from_episodes([episode], env_id="rlgen/SparseHalfCheetah-v0").save(path)
    return path


@pytest.fixture(scope="session")
def cats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of sentences, one per line."""
    path = tmp_path_factory.mktemp("sentences") / "cats.txt"
    path.write_text("\n".join(SENTENCES))
    return path
