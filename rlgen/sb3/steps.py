"""Steps of a model as its callbacks see them: raw observations below a VecNormalize, true last observations, and the
new transitions of an off-policy model, collected until a reward source learns from them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.spaces import Kinds, kinds_of
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.sb3.plain_pickle import array_like, own_array, plain


def normalizer_of(model: BaseAlgorithm) -> VecNormalize | None:
    """The VecNormalize of the model's environment, if it has one that normalizes observations. Raises `InputError` if
    its observations differ from the model's, because another wrapper changes their shape."""
    env = model.get_vec_normalize_env()
    if env is None or not env.norm_obs:
        return None
    if env.observation_space.shape != model.observation_space.shape:
        raise problem(
            f"a VecNormalize of the observations that the model sees, {model.observation_space.shape}",
            f"one of {env.observation_space.shape} below another wrapper",
            "make VecNormalize the outermost wrapper",
        )
    return env


def reset_unknown_observations(model: BaseAlgorithm) -> None:
    """Lets the next `learn` of a model that was loaded reset its environments where a VecNormalize has no raw
    observations of their states: it only knows those of its own last step."""
    normalizer = normalizer_of(model)
    if normalizer is not None and "old_obs" not in vars(normalizer):
        model._last_obs = None


@contextmanager
def constant_statistics(model: BaseAlgorithm) -> Iterator[None]:
    """Within the block, a VecNormalize of the model's environment does not change its statistics."""
    normalizer = normalizer_of(model)
    if normalizer is None or not normalizer.training:
        yield
        return
    normalizer.training = False
    try:
        yield
    finally:
        normalizer.training = True


def raw_kinds(model: BaseAlgorithm) -> Kinds:
    """Type and shape of the raw observations of the model's environment, by entry."""
    env = normalizer_of(model)
    return kinds_of(model.observation_space if env is None else env.venv.observation_space)


class RawObservations:
    """Raw observations of one rollout below `env`: the first, then one more for each step. T + 1 times [N, ...]."""

    def __init__(self, env: VecNormalize):
        self.env = env
        self.rows: list[Any] = []
        self.add()

    def add(self) -> None:
        """Adds the observations after a step or a reset."""
        self.rows.append(self.env.get_original_obs())

    def raw(self, observation: Any) -> Any:
        """The raw values of a normalized observation of the current step, such as the last of an episode, as far as the
        normalizer has not clipped it."""
        return self.env.unnormalize_obs(observation)


def last_observation(info: Mapping[str, Any], before: Any, readers: Sequence[str]) -> Any:
    """`terminal_observation` in the `info` of an episode's last step; if it is missing and nothing reads it, the
    observation `before` that step.

    As in SB3, the key is optional if the task ended the episode: the value of that observation is not needed then.

    Args:
        readers: names of its readers.

    Raises:
        InputError: it is missing, and a time limit cut the episode or something reads it.
    """
    last = info.get("terminal_observation")
    if last is not None:
        return last
    readers = [*readers, *(["the value after a time limit"] if info.get("TimeLimit.truncated", False) else [])]
    if readers:
        raise problem(
            "the last observation of an episode under 'terminal_observation' in the info of its last step, which "
            f"{' and '.join(readers)} must see",
            "a vector environment that leaves it out",
            "fix the wrapper that drops it, or use an SB3 VecEnv such as DummyVecEnv",
        )
    return before


class Step(NamedTuple):
    """One step of N environments."""

    observations: Any
    """[N, O]; images [N, ...], or a dictionary of arrays."""
    actions: np.ndarray
    """[N, A], as the environments received them."""
    following: Any
    """Next observations, as `observations`; at the end of an episode its true last observation."""
    terminated: np.ndarray
    """[N] bool."""
    truncated: np.ndarray
    """[N] bool, by the time limit."""
    starts: np.ndarray
    """[N] bool: the first step of an episode."""


class NewSteps:
    """Collects steps of N environments until there are `enough`, counted over all environments."""

    def __init__(self, enough: int):
        if enough < 1:
            raise problem("1 step or more between two updates", str(enough), "use e.g. 1000")
        self.enough = enough
        self.steps: list[Step] = []
        self.taken = 0
        """Steps at the front that were returned before: the one before the new steps, 0 the first time."""

    def add(
        self,
        observations: Any,
        actions: np.ndarray,
        following: Any,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Adds a step; arrays as in `Step`. An episode starts after the end of another, or if a reset has moved the
        environment away from where the step before left it."""
        starts = np.ones(len(terminated), bool)
        if self.steps:
            before = self.steps[-1]
            starts = before.terminated | before.truncated | _differ(before.following, observations)
        # An environment may reuse its arrays.
        observations, following = (tree.each_entry(np.copy, each) for each in (observations, following))
        self.steps.append(Step(observations, actions, following, terminated, truncated, starts))

    def take(self, device: torch.device | str) -> tuple[Transitions, Tensor] | None:
        """The new steps as T * N transitions, time-major, and the episode starts [T, N]; None if they are too few."""
        new = self.steps[self.taken :]
        if not new or len(new) * len(new[0].terminated) < self.enough:
            return None
        self.steps, self.taken = self.steps[-1:], 1
        columns = [_stacked(column) for column in zip(*new, strict=True)]
        *trees, starts = (tree.each_entry(lambda rows: torch.as_tensor(rows, device=device), each) for each in columns)
        return Transitions(*(tree.each_entry(lambda rows: rows.flatten(0, 1), each) for each in trees)), starts

    def state_dict(self) -> dict[str, Any]:
        columns = dict(zip(Step._fields, zip(*self.steps, strict=True), strict=True)) if self.steps else {}
        return plain({"taken": self.taken, "steps": {name: _stacked(rows) for name, rows in columns.items()}})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`; raises `InputError` for arrays that do not fit each other."""
        columns = [tree.each_entry(own_array, state["steps"][name]) for name in Step._fields if state["steps"]]
        if columns:
            *trees, starts = columns
            flat = (tree.each_entry(lambda rows: torch.from_numpy(rows).flatten(0, 1), each) for each in trees)
            Transitions(*flat).checked()
            array_like(trees[-1], starts, "starts of episodes")
        if not 0 <= state["taken"] <= 1:
            raise problem("0 or 1 step that was taken", str(state["taken"]), "load the state of the same training")
        times = range(len(columns[-1])) if columns else ()
        self.steps = [Step(*(tree.take(column, time) for column in columns)) for time in times]
        self.taken = int(state["taken"])


def _stacked(rows: Sequence[Any]) -> Any:
    """Observations or other arrays of T steps as one: [T, N, ...]."""
    return tree.each_entry(lambda *arrays: np.stack(arrays), *rows)


def _differ(before: Any, after: Any) -> np.ndarray:
    """Environments [N] bool whose observations are not the same."""
    both = tree.entries(tree.each_entry(lambda one, other: one != other, before, after))
    return np.any([differs.reshape(len(differs), -1).any(1) for differs in both.values()], axis=0)
