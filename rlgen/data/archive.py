"""An archive of states that were reached: one for each cell of a grid, with the actions that lead to it from a start
of an episode (Ecoffet et al. 2021, Go-Explore, 2004.12919)."""

from collections.abc import Mapping, Sequence
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
        """Everything in it, as JSON values and one array for each quantity, however many states there are."""
        return {
            "entries": _stacked(self.entries),
            "states": _stacked_states([entry.state for entry in self.entries]),
            "nodes": np.array(self.nodes, np.int64),
            "chosen": np.array(self.chosen, np.int64),
            "parents": np.array(self.parents, np.int64),
            "bursts": _joined(self.bursts),
            "starts": _stacked_states(self.starts),
            "ends": _stacked([end for end, _ in self.ends]),
            "end_nodes": np.array([node for _, node in self.ends], np.int64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, for the same axes."""
        self.entries = _unstacked(state["entries"], _unstacked_states(state["states"]))
        self.cells = {entry.cell: number for number, entry in enumerate(self.entries)}
        self.nodes, self.chosen, self.parents = (
            np.asarray(state[name]).tolist() for name in ("nodes", "chosen", "parents")
        )
        self.bursts = _parted(state["bursts"])
        self.starts = _unstacked_states(state["starts"])
        ends = _unstacked(state["ends"], [{}] * len(state["end_nodes"]))
        self.ends = list(zip(ends, np.asarray(state["end_nodes"]).tolist(), strict=True))


def _order(reached: Reached) -> tuple[float, int]:
    """Smaller is better."""
    return -reached.reward, reached.steps


def _stacked(reached: Sequence[Reached]) -> dict[str, Any]:
    """All but the states, one array for each quantity; empty for none."""
    if not reached:
        return {}
    before, actions, after = (np.stack(each) for each in zip(*(one.transition for one in reached), strict=True))
    return {
        "cells": np.array([one.cell for one in reached], np.int64),
        "origins": np.array([one.origin for one in reached], np.int64),
        "steps": np.array([one.steps for one in reached], np.int64),
        "rewards": np.array([one.reward for one in reached]),
        "actions": _joined([one.actions for one in reached]),
        "before": before,
        "taken": actions,
        "after": after,
    }


def _unstacked(saved: Mapping[str, Any], states: Sequence[States]) -> list[Reached]:
    if not saved:
        return []
    names = ("cells", "origins", "steps", "rewards", "before", "taken", "after")
    columns = zip(*(np.asarray(saved[name]) for name in names), _parted(saved["actions"]), states, strict=True)
    return [
        Reached(
            cell=tuple(cell.tolist()),
            origin=int(origin),
            actions=actions,
            state=state,
            steps=int(steps),
            reward=float(reward),
            transition=(before, taken, after),
        )
        for cell, origin, steps, reward, before, taken, after, actions, state in columns
    ]


def _stacked_states(states: Sequence[States]) -> dict[str, np.ndarray]:
    return {name: np.stack([each[name] for each in states]) for name in states[0]} if states else {}


def _unstacked_states(saved: Mapping[str, Any]) -> list[States]:
    arrays = {name: np.asarray(array) for name, array in saved.items()}
    count = len(next(iter(arrays.values()))) if arrays else 0
    return [{name: array[index] for name, array in arrays.items()} for index in range(count)]


def _joined(parts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays [T, A] of several lengths as one."""
    rows = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    return {"rows": rows, "lengths": np.array([len(part) for part in parts], np.int64)}


def _parted(saved: Mapping[str, Any]) -> list[np.ndarray]:
    lengths = np.asarray(saved["lengths"])
    return np.split(np.asarray(saved["rows"]), np.cumsum(lengths)[:-1]) if len(lengths) else []
