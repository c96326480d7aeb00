"""An archive of states that were reached: one for each cell of a grid, with the actions that lead to it from a start
of an episode (Ecoffet et al. 2021, Go-Explore, 2004.12919)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlgen.data.visits import Axis
from rlgen.errors import problem

Cell = tuple[int, ...]
States = dict[str, np.ndarray]
"""States of environments [K, ...] by name, as `save_rows` of a VecEnv gives them."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A state that a burst of actions reached."""

    cell: Cell
    origin: int
    """Node of the state that the burst started in."""
    actions: np.ndarray
    """[T, A]: from there to here."""
    state: States
    """Without the first dimension."""
    steps: int
    """Steps of the episode up to here."""
    reward: float
    """Sum of the episode's rewards up to here."""
    transition: tuple[np.ndarray, np.ndarray, np.ndarray]
    """The last step: observation [O], action [A], next observation [O]."""


MOST_ENDS = 100


class Archive:
    """The best state of each cell of a grid along `axes`, whose widths are given: the one with the highest sum of
    rewards, and of those the one with the fewest steps. A tree of bursts of actions remembers how each was reached."""

    def __init__(self, axes: Sequence[Axis]):
        if not axes or any(axis.width is None for axis in axes):
            raise problem("axes of given widths", f"{[axis.name for axis in axes]}", "give each cell a width")
        self.axes = tuple(axes)
        self.cells: dict[Cell, int] = {}
        """The entry of each cell, in the order in which the cells were found."""
        self.entries: list[Reached] = []
        self.nodes: list[int] = []
        """The node of each entry."""
        self.chosen: list[int] = []
        """How often each entry's cell was chosen to continue from."""
        self.parents: list[int] = []
        """[M]: node before each node; -1 - r for the start of an episode, number r."""
        self.bursts: list[np.ndarray] = []
        """[M]: actions [T, A] from the node before."""
        self.starts: list[States] = []
        """States in which episodes started."""
        self.ends: list[tuple[Reached, int]] = []
        """Rewarded ends of episodes, from which nothing can go on, and their nodes; the best `MOST_ENDS`."""

    def __len__(self) -> int:
        return len(self.cells)

    def cells_of(self, observations: np.ndarray) -> np.ndarray:
        """Cells [B, D] of observations [B, O], counted from `low`, or from 0 along axes without ends."""
        found = []
        for axis in self.axes:
            assert axis.width is not None
            places = np.floor((axis.values(observations) - (axis.low or 0.0)) / axis.width)
            last = np.inf if axis.high is None else round((axis.high - (axis.low or 0.0)) / axis.width) - 1
            found.append(places if axis.low is None else places.clip(0, last))
        return np.stack(found, 1).astype(np.int64)

    def add_start(self, state: States) -> int:
        """Adds a state in which an episode starts; returns its node."""
        self.starts.append(state)
        return -len(self.starts)

    def improves(self, cell: Cell, reward: float, steps: int) -> bool:
        """Whether a state with this sum of rewards after so many steps would be kept."""
        known = self.cells.get(cell)
        if known is None:
            return True
        return (-reward, steps) < _order(self.entries[known])

    def add(self, reached: Reached) -> bool:
        """Keeps the state if it improves its cell; returns whether it does."""
        if not self.improves(reached.cell, reached.reward, reached.steps):
            return False
        node, entry = self._add_node(reached), self.cells.get(reached.cell)
        if entry is None:
            self.cells[reached.cell] = len(self.entries)
            self.entries.append(reached)
            self.nodes.append(node)
            self.chosen.append(0)
        else:
            self.entries[entry], self.nodes[entry] = reached, node
        return True

    def add_end(self, reached: Reached) -> None:
        """Keeps a rewarded end of an episode, whose state cannot go on, if it is among the best."""
        if reached.reward <= 0 or (len(self.ends) == MOST_ENDS and _order(reached) >= _order(self.ends[-1][0])):
            return
        self.ends.append((reached, self._add_node(reached)))
        self.ends = sorted(self.ends, key=lambda end: _order(end[0]))[:MOST_ENDS]

    def _add_node(self, reached: Reached) -> int:
        self.parents.append(reached.origin)
        self.bursts.append(np.array(reached.actions, np.float32))
        return len(self.parents) - 1

    def choose(self, rng: np.random.Generator, n: int, time_limit: float, worth: np.ndarray | None = None) -> list[int]:
        """`n` random entries to continue from, with probabilities in proportion to 1 / √(1 + times chosen) (Ecoffet et
        al. 2021, Methods) and to `worth` [K] ≥ 0, if given; none of a state at the time limit."""
        weights = 1 / np.sqrt(1 + np.array(self.chosen, float))
        weights *= np.array([entry.steps for entry in self.entries]) < time_limit
        if worth is not None and (weights * worth).sum() > 0:
            weights = weights * worth
        if not weights.sum():
            raise problem("a state before the time limit in the archive", "none", "use finer cells, or a longer limit")
        picked = rng.choice(len(weights), size=n, p=weights / weights.sum()).tolist()
        for each in picked:
            self.chosen[each] += 1
        return picked

    def path(self, node: int) -> tuple[int, np.ndarray]:
        """The number of the start, and the actions [T, A] from it to the node."""
        bursts = []
        while node >= 0:
            bursts.append(self.bursts[node])
            node = self.parents[node]
        return -1 - node, np.concatenate(bursts[::-1]) if bursts else np.zeros((0, 0), np.float32)

    def best(self, n: int) -> list[tuple[Reached, int]]:
        """The `n` entries and ends of the highest sums of rewards above 0, of equal ones those of fewest steps, best
        first, and their nodes."""
        found = [*zip(self.entries, self.nodes, strict=True), *self.ends]
        return [each for each in sorted(found, key=lambda each: _order(each[0]))[:n] if each[0].reward > 0]

    def transitions(self) -> tuple[np.ndarray, ...]:
        """The last steps of all entries: observations [K, O], actions [K, A], next observations [K, O]."""
        return tuple(np.stack(each) for each in zip(*(entry.transition for entry in self.entries), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Everything in it, as arrays and JSON values."""
        return {
            "entries": [vars(entry) | {"cell": list(entry.cell)} for entry in self.entries],
            "nodes": list(self.nodes),
            "chosen": list(self.chosen),
            "parents": list(self.parents),
            "lengths": [len(burst) for burst in self.bursts],
            "actions": np.concatenate(self.bursts) if self.bursts else np.zeros((0, 0), np.float32),
            "starts": list(self.starts),
            "ends": [{"node": node, **vars(end), "cell": list(end.cell)} for end, node in self.ends],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, for the same axes."""
        self.entries = [_entry(entry) for entry in state["entries"]]
        self.cells = {entry.cell: number for number, entry in enumerate(self.entries)}
        self.nodes, self.chosen, self.parents = (list(state[name]) for name in ("nodes", "chosen", "parents"))
        self.bursts = list(_split(np.asarray(state["actions"]), state["lengths"]))
        self.ends = [(_entry({n: v for n, v in end.items() if n != "node"}), int(end["node"])) for end in state["ends"]]
        self.starts = [{name: np.asarray(each) for name, each in start.items()} for start in state["starts"]]


def _order(reached: Reached) -> tuple[float, int]:
    """Smaller is better."""
    return -reached.reward, reached.steps


def _entry(values: Mapping[str, Any]) -> Reached:
    state = {name: np.asarray(array) for name, array in values["state"].items()}
    before, action, after = (np.asarray(each) for each in values["transition"])
    own = {**values, "cell": tuple(values["cell"]), "state": state, "transition": (before, action, after)}
    return Reached(**{**own, "actions": np.asarray(values["actions"])})


def _split(rows: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    place = 0
    for length in lengths:
        yield rows[place : place + length]
        place += length
