"""Labeled observations that a training collects, in bounded memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.rows import Rows
from rlgen.data.spaces import Kinds
from rlgen.errors import problem
from rlgen.system.memory import free_memory

BOOKKEEPING = 16
"""Bytes per row in addition to observation and action: its random key (8), episode (4) and time step (4)."""
COPIES = 4
"""Memory of a training relative to that of the rows: three while rows are added, four while a policy is cloned."""
LOWER = "lower memory_mb: a uniform sample of the rows is then kept"


class AggregatedRows:
    """Observations and actions of all rounds, at most `capacity` rows.

    Every row gets a random key when it is added, and when there are too many, those with the largest keys are dropped:
    what remains is a uniform sample of all rows ever added, in their order, and no round counts more than another.

    Args:
        kinds: type and shape of each entry of an observation (`rlgen.data.spaces.kinds_of`).
        action_size: A, dimension of an action.
        memory_mb: memory of the rows [MB], a quarter of what is free at most.

    Raises:
        InputError: less memory than two rows need, or more than fits.
    """

    def __init__(self, kinds: Kinds, action_size: int, memory_mb: float):
        self.kinds = kinds
        sizes = [np.dtype(dtype).itemsize * int(np.prod(shape)) for dtype, shape in kinds.values()]
        self.row_bytes = sum(sizes) + 4 * action_size + BOOKKEEPING
        self.capacity = int(memory_mb * 1e6 / self.row_bytes)
        if self.capacity < 2:
            least = 2 * self.row_bytes / 1e6
            raise problem(f"memory for two rows, {least:.2g} MB or more", f"{memory_mb:g} MB", "raise memory_mb")
        if COPIES * memory_mb * 1e6 > free_memory():
            most = free_memory() / COPIES / 1e6
            raise problem(f"at most {most:,.0f} MB of rows, a quarter of the free memory", f"{memory_mb:g} MB", LOWER)
        self.observations = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in kinds.items()}
        self.actions = np.zeros((0, action_size), np.float32)
        self.episode, self.step = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self.keys = np.zeros(0)
        self.lengths = np.zeros(0, np.int32)
        """[E] steps of every episode that rows were added of."""
        self.seen = 0
        """Rows ever added."""

    def __len__(self) -> int:
        return len(self.actions)

    def add(self, rows: Rows) -> None:
        """Adds the rows of new episodes."""
        self._append(rows.observations, rows.actions, rows.episode, rows.step, rows.episode_lengths)

    def add_rollout(self, observations: Any, actions: np.ndarray, starts: np.ndarray) -> None:
        """Adds T steps of N environments: observations [T, N, ...], actions [T, N, A], starts [T, N] bool (the step is
        an episode's first). What an episode had before the rollout is an episode of its own."""
        begins = starts.copy()
        begins[0] = True
        begins = begins.T.ravel()
        places = np.flatnonzero(begins)
        lengths = np.diff(np.append(places, len(begins)))
        episode = np.repeat(np.arange(len(places)), lengths)
        step = np.arange(len(begins)) - np.repeat(places, lengths)

        def by_env(array: np.ndarray) -> np.ndarray:
            return array.swapaxes(0, 1).reshape(-1, *array.shape[2:])

        self._append(tree.each_entry(by_env, observations), by_env(actions), episode, step, lengths)

    def demonstrations(self) -> Demonstrations:
        """The rows, without a copy. Their next observations are unknown and hold the observations."""
        seen = tree.of_entries(self.observations)
        after = seen
        if not tree.is_flat(seen):
            seen, after = tree.of_store(seen, np.arange(len(self)))
        return Demonstrations(
            observations=seen,
            actions=self.actions,
            next_observations=after,
            terminated=np.zeros(len(self), bool),
            truncated=np.zeros(len(self), bool),
            episode=self.episode,
            step=self.step,
            episode_lengths=self.lengths,
            source="the aggregated rows",
        )

    def _append(
        self, observations: Any, actions: np.ndarray, episode: np.ndarray, step: np.ndarray, lengths: np.ndarray
    ) -> None:
        new = tree.entries(observations)
        draw = np.random.random_sample  # NumPy's global generator, which a checkpoint holds
        keys = np.concatenate([self.keys, draw(len(actions))])
        kept = keys <= np.partition(keys, self.capacity - 1)[self.capacity - 1] if len(keys) > self.capacity else None

        def joined(before: np.ndarray, added: Any) -> np.ndarray:
            both = np.concatenate([before, np.asarray(added).astype(before.dtype, copy=False)])
            return both if kept is None else both[kept]

        self.observations = {name: joined(array, new[name]) for name, array in self.observations.items()}
        self.actions = joined(self.actions, actions)
        self.episode = joined(self.episode, np.asarray(episode) + len(self.lengths))
        self.step = joined(self.step, step)
        self.keys = keys if kept is None else keys[kept]
        self.lengths = np.concatenate([self.lengths, np.asarray(lengths, np.int32)])
        self.seen += len(actions)

    def state_dict(self) -> dict[str, Any]:
        """Its arrays, without a copy; no row that is added changes them."""
        names = ("actions", "episode", "step", "keys", "lengths")
        return {"observations": dict(self.observations), "seen": self.seen} | {n: getattr(self, n) for n in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, with arrays. Raises `InputError` for arrays that do not fit each other or these
        settings."""
        for name, array in self.observations.items():
            self.observations[name] = self._like(array, state["observations"][name], name)
        for name in ("actions", "episode", "step", "keys", "lengths"):
            setattr(self, name, self._like(getattr(self, name), state[name], name))
        if not {len(self.keys), *map(len, self.observations.values())} == {len(self)}:
            raise problem(f"{len(self)} rows in every column", "another number", "load the state of the same training")
        self.seen = int(state["seen"])
        if len(self):
            self.demonstrations()  # checks the order

    @staticmethod
    def _like(array: np.ndarray, saved: Any, name: str) -> np.ndarray:
        found = np.asarray(saved)
        if found.shape[1:] != array.shape[1:] or found.dtype != array.dtype:
            expected, got = (f"{name} of {each.dtype}, {list(each.shape[1:])} per row" for each in (array, found))
            raise problem(expected, got, "load the state of the same training")
        return found.copy()
