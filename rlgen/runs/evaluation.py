"""Evaluation of a policy over complete episodes, equally many of every environment; reproducible by its seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlgen.data.cells import VIEW, ObjectsFaced, shows_cells
from rlgen.data.playing import Policy, is_normalizing, play_episodes
from rlgen.data.words import MISSION, decode, has_instructions, words_of
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.system.console import Progress
from rlgen.system.device import torch_threads

PANELS = (
    Panel(
        "Return per episode",
        (Metric("evaluation/return_mean", "evaluation", band="evaluation/return_std"),),
        large=True,
    ),
    Panel("Episode length [steps]", (Metric("evaluation/episode_length_mean", "evaluation"),), limits=(0, None)),
    Panel("Share of episodes ended by the task", (Metric("evaluation/terminated", "evaluation"),), limits=(0, 1)),
    Panel(
        "Ends of the evaluation's returns",
        (Metric("evaluation/return_min", "lowest"), Metric("evaluation/return_max", "highest")),
        drawn=False,
    ),
)
"""Metrics of an evaluation as a point of a learning curve."""


@dataclass(frozen=True)
class Evaluation:
    """E finished episodes, ordered by environment and then in time."""

    returns: np.ndarray
    """[E] float64, undiscounted sum of the environment's rewards."""
    lengths: np.ndarray
    """[E] int64, lengths in environment steps."""
    terminated: np.ndarray
    """[E] bool, True if the task ended the episode (by success or failure), False at the time limit."""
    instructions: np.ndarray | None = None
    """[E] texts, the instruction of each episode; None for a task without."""
    carried: np.ndarray | None = None
    """[E] texts, the object that the agent carries at the end, e.g. red ball, or none; None for a task without an
    instruction or codes of cells."""
    faced: np.ndarray | None = None
    """[E] texts, the last object that the agent stood before, or none; None as for `carried`."""

    def summary(self) -> dict[str, float | int]:
        """The numbers of result.json. The standard deviation is over these episodes (divided by E)."""
        return {
            "return_mean": float(self.returns.mean()),
            "return_std": float(self.returns.std()),
            "return_min": float(self.returns.min()),
            "return_max": float(self.returns.max()),
            "episode_length_mean": float(self.lengths.mean()),
            "episodes": len(self.returns),
            "terminated": float(self.terminated.mean()),
        }


def evaluate(
    policy: Policy,
    env: Any,
    episodes: int,
    deterministic: bool = True,
    *,
    seed: int | None = None,
    label: str | None = "evaluating",
) -> Evaluation:
    """Play `episodes` complete episodes on an SB3 VecEnv with the task's own reward.

    Each of the N environments contributes a number of episodes fixed beforehand (`play_episodes`). `seed` seeds the
    environments and, for a stochastic policy, torch, whose state is restored afterwards. `label` is the title of the
    progress display; None for no display (e.g. while another one is active).
    """
    if episodes < 1:
        raise problem("at least one episode", str(episodes), "give a larger number of episodes")
    if is_normalizing(env) and (env.norm_reward or env.training):
        raise problem(
            "an environment with the task's own reward",
            "a VecNormalize that scales rewards or is in training mode",
            "pass its inner environment (env.venv): a model that was trained with it normalizes observations itself",
        )
    if seed is not None:
        env.seed(seed)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    with torch_threads(1), torch.random.fork_rng(devices, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        with Progress(label or "", total=episodes, unit="episodes", show=label is not None) as progress:
            return _play(policy, env, episodes, deterministic, progress)


def _play(policy: Policy, env: Any, episodes: int, deterministic: bool, progress: Progress) -> Evaluation:
    running_return, running_length = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=np.int64)
    finished: list[list[tuple[float, int, bool, str, str, str]]] = [[] for _ in range(env.num_envs)]
    space = getattr(env, "observation_space", None)
    instructed, sees_objects = has_instructions(space), has_instructions(space) and shows_cells(space)
    met, words = ObjectsFaced(env.num_envs), words_of(env) if instructed else ()
    for step, counts in play_episodes(policy, env, episodes, deterministic):
        running_return += step.rewards
        running_length += 1
        if sees_objects:
            met.see(step.observations[VIEW])
        for index in np.flatnonzero(step.dones):
            objects = met.end(int(index), step.infos[index]["terminal_observation"][VIEW]) if sees_objects else ("", "")
            if not counts[index]:
                continue
            by_task = not step.infos[index].get("TimeLimit.truncated", False)
            text = decode(step.observations[MISSION][index], words) if instructed else ""
            finished[index].append((running_return[index], running_length[index], by_task, text, *objects))
        running_return[step.dones] = running_length[step.dones] = 0
        if step.dones.any():
            done = [episode for of_env in finished for episode in of_env]
            progress.update(len(done), {"return": float(np.mean([episode[0] for episode in done]))} if done else {})
    columns = map(np.array, zip(*(episode for of_env in finished for episode in of_env), strict=True))
    returns, lengths, terminated, texts, carried, faced = columns
    return Evaluation(
        returns,
        lengths.astype(np.int64),
        terminated.astype(bool),
        texts if instructed else None,
        carried if sees_objects else None,
        faced if sees_objects else None,
    )


class RandomPolicy:
    """A policy of uniformly random actions, the one of `random_return`.

    Raises `InputError` for unbounded actions, and for spaces that no SB3 model supports.
    """

    def __init__(self, action_space: Any, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._draw = _drawing(action_space, self._random)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, None]:
        """One action per observation: [N, A] within the bounds, [N, A] integers, or [N] of a Discrete space."""
        return self._draw(len(next(iter(observation.values())) if isinstance(observation, dict) else observation)), None


def _drawing(space: Any, random: np.random.Generator) -> Callable[[int], np.ndarray]:
    """A function from N to N random actions of `space`."""
    from gymnasium import spaces

    if isinstance(space, spaces.Box) and space.is_bounded():
        return lambda n: random.uniform(space.low, space.high, size=(n, *space.shape)).astype(space.dtype)
    if isinstance(space, spaces.Box):
        raise problem("a bounded action space", f"{space}", "bound the actions to define random behavior")
    if isinstance(space, spaces.Discrete):
        return lambda n: space.start + random.integers(space.n, size=n)
    if isinstance(space, spaces.MultiDiscrete):
        return lambda n: space.start + random.integers(space.nvec, size=(n, *space.shape))
    if isinstance(space, spaces.MultiBinary):
        return lambda n: random.integers(2, size=(n, *space.shape), dtype=np.int8)
    raise problem("a Box, Discrete, MultiDiscrete or MultiBinary action space", f"{space}", "wrap the environment")
