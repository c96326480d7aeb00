"""Transitions of episodes as checked arrays: one row is one transition."""

import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix
from rlgen.data.observations import Observations
from rlgen.errors import problem

BOTH = ("observations", "next_observations")
ENDED_BY_TASK = "ended_by_task"
"""Metadata of a file without some last rows: for each episode, whether the task ended it."""
INCOMPLETE = "the file is incomplete or was put together wrongly: write it again"
ROUNDING = 1e-3
"""Tolerance of a return, relative to the sum of its absolute rewards: float32 sums in any order."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Rows:
    """R transitions of E episodes as read-only NumPy arrays; floats are float32. O observation, A action dimensions.

    The rows of an episode are in time order. Raises an `InputError` naming the source, the key and the row if shapes,
    order or metadata are wrong.
    """

    observations: Observations
    """[R, O]; images are uint8 [R, ...], and the observations of a Dict space are arrays by the names of its entries
    (`rlgen.data.observations`)."""

    actions: np.ndarray
    """[R, A] in environment scale, as the environment received them; whole numbers for discrete actions. One column of
    NaN if a file has none (`unknown_actions`)."""

    next_observations: Observations
    """Like `observations`; at the end of an episode its true last observation. Those of images and dictionaries are
    `SharedRows`, which index like arrays: a row that is also an observation is stored once."""

    terminated: np.ndarray
    """[R] bool: the task itself ended the episode here. Takes precedence if a file sets both flags."""

    truncated: np.ndarray
    """[R] bool: a time limit (or the end of the recording) ended the episode here."""

    episode: np.ndarray
    """[R] int32: episode number, 0 to E - 1."""

    step: np.ndarray
    """[R] int32: time step within the episode."""

    episode_lengths: np.ndarray
    """[E] int32: steps of the complete episode, before any subsampling."""

    rewards: np.ndarray | None = None
    """[R] task rewards, if known: a column of NaN becomes None."""

    episode_returns: np.ndarray | None = None
    """[E] undiscounted task return of the complete episode, if known: a column of NaN becomes None."""

    env_id: str | None = None
    """Gymnasium id of the recorded environment, if known."""

    stride: int = 1
    """Stride of the kept rows, in steps; 1 = every step."""

    metadata: dict[str, Any] = field(default_factory=dict)
    """JSON values: origin of the data, versions, seed, margin rule …"""

    source: str = "these demonstrations"
    """Name for error messages, normally the file name; not saved."""

    def __post_init__(self) -> None:
        self._freeze("actions", matrix(self.actions, "actions", self.source), np.float32)
        self._freeze_observations()
        for name in ("rewards", "episode_returns"):
            if getattr(self, name) is not None:
                values = column(getattr(self, name), "number", 1, name, self.source)
                if len(values) and np.isnan(values).all():  # other formats mark unknown values like this
                    object.__setattr__(self, name, None)
                else:
                    self._freeze(name, values, np.float32)
        for name in ("episode", "step", "episode_lengths"):
            self._freeze(name, column(getattr(self, name), "count", 1, name, self.source), np.int32)
        for name in ("terminated", "truncated"):
            self._freeze(name, column(getattr(self, name), "flag", 1, name, self.source), np.bool_)
        object.__setattr__(self, "stride", int(column(self.stride, "count", 0, "stride", self.source)))
        _check_shapes(self)
        _check_order(self)
        _check_returns(self)
        _check_metadata(self)
        self._freeze("truncated", self.truncated & ~self.terminated, np.bool_)

    @property
    def n_episodes(self) -> int:
        return len(self.episode_lengths)

    @property
    def ended_by_task(self) -> np.ndarray | None:
        """[E] bool: episodes that the task ended, by the notes of a file without some last rows, else by its rows; None
        where neither say."""
        noted = self.metadata.get(ENDED_BY_TASK)
        if isinstance(noted, list) and len(noted) >= self.n_episodes:
            return np.array([bool(each) for each in noted[: self.n_episodes]], bool)
        if len(self) != self.episode_lengths.sum():
            return None
        ended = np.zeros(self.n_episodes, bool)
        ended[self.episode[self.terminated]] = True
        return ended

    def __len__(self) -> int:
        return tree.count(self.observations)

    def require_whole(self, what: str) -> None:
        """Raises an InputError if steps of an episode are missing; `what` names the target that needs them all."""
        kept = np.bincount(self.episode, minlength=self.n_episodes)
        if (kept != self.episode_lengths).any():
            number = int(np.argmax(kept != self.episode_lengths))
            raise problem(
                f"whole episodes for {what}",
                f"{kept[number]} of the {self.episode_lengths[number]} steps of episode {number} in {self.source}",
                "use the demonstrations from before they were subsampled, or save them as rlgen's own .npz",
            )

    def _freeze_observations(self) -> None:
        """Sets read-only observations and next observations of the same entries and shapes."""
        now, then = (tree.checked(getattr(self, name), name, self.source) for name in BOTH)
        self._require_same_shapes(now, then)
        if tree.is_flat(now):
            for name, each in zip(BOTH, (now, then), strict=True):
                self._freeze(name, np.asarray(each), np.float32)
            return
        now, then = (tree.each_entry(tree.single, each) for each in (now, then))
        if tree.count(now):
            now, then = tree.shared(now, then)
        for name, each in zip(BOTH, (now, then), strict=True):
            object.__setattr__(self, name, tree.each_entry(tree.read_only, each))

    def _require_same_shapes(self, now: Observations, then: Observations) -> None:
        before, after = ({name: list(part.shape) for name, part in tree.entries(each).items()} for each in (now, then))
        if before != after:
            expected, got = (str(each[""]) if "" in each else str(each) for each in (before, after))
            raise problem(f"shape {expected} under 'next_observations'", f"{got} in {self.source}", INCOMPLETE)
        if len({shape[0] for shape in before.values()}) > 1:
            raise problem("as many rows in every entry of 'observations'", f"{before} in {self.source}", INCOMPLETE)

    def _freeze(self, name: str, array: np.ndarray, dtype: type) -> None:
        """Sets a read-only view of `array` in the field's type; the caller's own array stays writable."""
        with np.errstate(over="ignore", invalid="ignore"):
            view: np.ndarray = array.astype(dtype, copy=False).view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)


def unknown_actions(rows: int) -> np.ndarray:
    """[rows, 1] NaN: the actions of demonstrations of states alone."""
    return np.full((rows, 1), np.nan, np.float32)


def _check_shapes(rows: Rows) -> None:
    n, parts = len(rows), tree.entries(rows.observations).values()
    if rows.actions.size == 0 or any(0 in part.shape for part in parts):
        raise problem("at least one row", f"none in {rows.source}", "record or choose a file that is not empty")
    if len(rows.actions) != n:
        _misfit(rows, "actions", [n, rows.actions.shape[1]])
    for name in ("rewards", "terminated", "truncated", "episode", "step"):
        if getattr(rows, name) is not None and getattr(rows, name).shape != (n,):
            _misfit(rows, name, [n])
    if rows.episode_lengths.ndim != 1:
        _misfit(rows, "episode_lengths", [int(rows.episode.max()) + 1])
    if rows.episode_returns is not None and rows.episode_returns.shape != rows.episode_lengths.shape:
        _misfit(rows, "episode_returns", list(rows.episode_lengths.shape))


def _misfit(rows: Rows, name: str, shape: list[int]) -> NoReturn:
    raise problem(
        f"shape {shape} under {name!r}",
        f"{list(getattr(rows, name).shape)} in {rows.source}",
        INCOMPLETE,
    )


def _check_order(rows: Rows) -> None:
    """Episodes are numbered, the rows of an episode are in time order, and only its last step may end it."""
    episode, step, episodes = rows.episode, rows.step, rows.n_episodes
    numbered = (episode >= 0) & (episode < episodes)
    if not numbered.all():
        _out_of_order(rows, f"'episode' outside 0 to {episodes - 1}", int(np.argmin(numbered)))
    ordered = np.where(episode[1:] == episode[:-1], step[1:] > step[:-1], episode[1:] > episode[:-1])
    if not ordered.all():
        _out_of_order(rows, "'episode' or 'step' going backwards", int(np.argmin(ordered)) + 1)
    length = rows.episode_lengths[episode]
    inside = (step >= 0) & (step < length)
    if not inside.all():
        _out_of_order(rows, "'step' outside the episode's length", int(np.argmin(inside)))
    early = (rows.terminated | rows.truncated) & (step != length - 1)
    if early.any():
        _out_of_order(rows, "an end of the episode before its last step", int(np.argmax(early)))


def _check_returns(rows: Rows) -> None:
    """The return of an episode with all its steps is the sum of its rewards."""
    if rows.rewards is None or rows.episode_returns is None:
        return
    whole = np.bincount(rows.episode, minlength=rows.n_episodes) == rows.episode_lengths
    with np.errstate(invalid="ignore"):  # validation reports what is not finite
        returns, rewards = (each.astype(np.float64) for each in (rows.episode_returns, rows.rewards))
        sums, sizes = (np.bincount(rows.episode, each, rows.n_episodes) for each in (rewards, abs(rewards)))
        slack = ROUNDING * sizes
        wrong = whole & np.isfinite(sums) & (abs(returns - sums) > slack)
    if wrong.any():
        number = int(np.argmax(wrong))
        raise problem(
            f"the sum of its rewards, {sums[number]:g}, as the return of episode {number}",
            f"{returns[number]:g} under 'episode_returns' in {rows.source}",
            "leave one of the two out: they measure different rewards (scaled ones, for instance)",
        )


def _out_of_order(rows: Rows, got: str, row: int) -> NoReturn:
    raise problem(
        "rows in order: 'episode' counting up from 0, 'step' counting up within each episode",
        f"{got}, row {row} of {rows.source}",
        "sort the rows by episode and step, or build them with Demonstrations.from_episodes",
    )


def _check_metadata(rows: Rows) -> None:
    if not isinstance(rows.metadata, dict):
        got = f"{type(rows.metadata).__name__} in {rows.source}"
        raise problem("metadata by name (a dictionary)", got, "give a dictionary, which may be empty")
    if rows.env_id is not None and not isinstance(rows.env_id, str):
        got = f"{type(rows.env_id).__name__} in {rows.source}"
        raise problem("a Gymnasium id or None as env_id", got, "give the id as a text")
    if rows.stride < 1:
        raise problem("a stride of at least 1", f"{rows.stride} in {rows.source}", "give 1 for every step")
    try:
        json.dumps(rows.metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise problem("metadata of JSON values", f"{error} in {rows.source}", "convert it to plain values") from error
