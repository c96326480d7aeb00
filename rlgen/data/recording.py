"""Records a policy in an SB3 vector environment, whose observations must be numeric, images or dictionaries of them,
and whose actions vectors or discrete."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.episode import Episode
from rlgen.data.observations import Observations
from rlgen.data.playing import Policy, is_normalizing, play_episodes
from rlgen.data.spaces import Kinds, kinds_of, require_counted_from_zero
from rlgen.data.words import NOTED, has_instructions, words_of
from rlgen.errors import problem
from rlgen.system.versions import package_versions


def record(
    policy: Policy, env: Any, episodes: int, seed: int, deterministic: bool
) -> tuple[list[Episode], str | None, dict[str, Any]]:
    """Episodes, environment id and metadata. See `Demonstrations.record`."""
    import torch

    _check(env, episodes)
    with torch.random.fork_rng(devices=[]):  # a stochastic policy repeats with the seed; the caller's generator stays
        torch.manual_seed(seed)
        found = _play(policy, env, episodes, seed, deterministic)
    metadata: dict[str, Any] = {
        "source": "recorded",
        "seed": seed,
        "deterministic": deterministic,
        "versions": package_versions(),
    }
    bounds = action_bounds(env.action_space)
    if np.isfinite(bounds).all() and not is_whole(env.action_space):  # JSON has no infinity
        metadata |= {"action_low": bounds[0].tolist(), "action_high": bounds[1].tolist()}
    for name in ("backend", "margin_rule"):
        if getattr(env, name, None) is not None:
            metadata[name] = str(getattr(env, name))
    if (options := environment_options(env)) is not None:
        metadata["env_kwargs"] = options
    if has_instructions(env.observation_space):
        metadata[NOTED] = list(words_of(env))
    return found, environment_id(env), metadata


def kwargs_text(env_kwargs: Mapping[str, Any]) -> str:
    """Keyword arguments of an environment as JSON, the same text for equal arguments."""
    return json.dumps(env_kwargs, sort_keys=True, default=str)


def environment_id(env: Any) -> str | None:
    """Gymnasium id of an environment or vector environment; None if it has none."""
    if isinstance(getattr(env, "env_id", None), str):
        return env.env_id
    return getattr(_spec(env), "id", None)


def environment_options(env: Any) -> dict[str, Any] | None:
    """Constructor options of an environment that differ from those its id is registered with, as JSON values; None if
    they are unknown."""
    import gymnasium

    options = getattr(env, "env_kwargs", None)
    if options is None and (spec := _spec(env)) is not None:
        registered = getattr(gymnasium.registry.get(spec.id), "kwargs", {})
        own = {"render_mode"} | {key for key, value in spec.kwargs.items() if registered.get(key) is value}
        options = {key: value for key, value in spec.kwargs.items() if key not in own}
    return json.loads(kwargs_text(options)) if isinstance(options, Mapping) else None


def _spec(env: Any) -> Any:
    """Gymnasium's specification of the environment; None if there is none."""
    spec = getattr(env, "spec", None)
    if spec is None and hasattr(env, "get_attr"):
        try:
            spec = env.get_attr("spec", 0)[0]
        except (AttributeError, NotImplementedError):  # vector environments without inner ones
            return None
    return spec


def _check(env: Any, episodes: int) -> None:
    if episodes < 1:
        raise problem("at least one episode to record", f"{episodes}", "record one or more")
    if is_normalizing(env):
        raise problem(
            "a vector environment of raw observations",
            "a VecNormalize, whose scale would be baked into the demonstrations",
            "give its inner environment (env.venv): a model that was trained under it normalizes its own observations",
        )
    kinds_of(env.observation_space)
    action_bounds(env.action_space)
    require_counted_from_zero(None, env.action_space)


def _play(policy: Policy, env: Any, episodes: int, seed: int, deterministic: bool) -> list[Episode]:
    """Round by round: the first episode of each environment, then the second of each."""
    finished: list[list[Episode]] = [[] for _ in range(env.num_envs)]
    kinds = kinds_of(env.observation_space)
    tracks = [_Track(kinds) for _ in finished]
    env.seed(seed)
    with _progress(episodes) as advance:
        for step, counts in play_episodes(policy, env, episodes, deterministic):
            for i in np.flatnonzero(counts):
                tracks[i].add(tree.take(step.observations, i), step.actions[i], step.rewards[i])
                if step.dones[i]:
                    finished[i].append(tracks[i].close(step.infos[i]))
                    tracks[i] = _Track(kinds)
                    advance()
    return [episode for of_round in zip_longest(*finished) for episode in of_round if episode is not None]


class _Track:
    """The current episode of one environment. Copies rows, because a vector environment may reuse its arrays."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.observations: list[Observations] = []
        self.actions: list[np.ndarray] = []
        self.rewards: list[float] = []

    def add(self, observation: Any, action: np.ndarray, reward: float) -> None:
        self.observations.append(self._kept(observation))
        self.actions.append(np.array(action, np.float32).ravel())
        self.rewards.append(float(reward))

    def _kept(self, observation: Any) -> Observations:
        """A copy of one observation, as demonstrations hold it."""
        found = {name: np.array(array) for name, array in tree.entries(observation).items()}
        kept = {name: found[name].astype(dtype).reshape(shape) for name, (dtype, shape) in self.kinds.items()}
        return tree.of_entries(kept)

    def close(self, info: dict[str, Any]) -> Episode:
        if "terminal_observation" not in info:
            raise problem(
                "the last observation of an episode under 'terminal_observation' in the info of its last step",
                "an environment that leaves it out",
                "record in an SB3 VecEnv such as DummyVecEnv, or fix the wrapper that drops it",
            )
        seen = [*self.observations, self._kept(info["terminal_observation"])]
        return Episode(
            observations=tree.each_entry(lambda *rows: np.stack(rows), *seen),
            actions=np.stack(self.actions),
            rewards=np.array(self.rewards),
            terminated=not info.get("TimeLimit.truncated", False),
        )


@contextmanager
def _progress(episodes: int) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error if that is a terminal; yields the function that advances it by one episode."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Recording episodes", total=episodes)
        yield lambda: bar.advance(task)


def action_bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest action, [A] each, of a Box, or of a discrete space: Discrete, one-dimensional MultiDiscrete
    or MultiBinary.

    Raises `InputError` for other spaces."""
    if hasattr(space, "low"):
        return np.asarray(space.low, np.float64).ravel(), np.asarray(space.high, np.float64).ravel()
    if is_whole(space):
        sizes = np.full(space.shape, 2) if space.shape and hasattr(space, "n") else getattr(space, "nvec", None)
        low = np.atleast_1d(np.asarray(getattr(space, "start", 0), np.float64))
        sizes = np.atleast_1d(np.asarray(space.n if sizes is None else sizes, np.float64))
        return np.broadcast_to(low, sizes.shape), low + sizes - 1
    raise problem(
        "actions that are vectors (a Box) or discrete (Discrete, MultiDiscrete, MultiBinary)",
        f"{space}",
        "choose another task",
    )


def is_whole(space: Any) -> bool:
    """Whether actions are the integers of a discrete space, in one dimension at most."""
    counted = hasattr(space, "n") or hasattr(space, "nvec")
    return counted and len(getattr(space, "shape", None) or ()) <= 1
