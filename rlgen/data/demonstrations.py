"""Demonstrations: what an expert did, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlgen.data import formats
from rlgen.data.episode import Episode, episodes_of, rows_from_episodes
from rlgen.data.playing import Policy
from rlgen.data.recording import record
from rlgen.data.rows import Rows
from rlgen.data.summary import Summary, summarise
from rlgen.data.validation import check_finite, validate
from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.data.transitions import Transitions

BY_ROW = ("observations", "actions", "next_observations", "rewards", "terminated", "truncated", "episode", "step")
BY_EPISODE = ("episode_returns", "episode_lengths")
WHOLE_FILE_RETURN = "expert_return_of_whole_file"
"""Metadata of demonstrations that are the first of a file: the mean return of all its episodes."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Demonstrations(Rows):
    """R transitions of E episodes as read-only NumPy arrays; floats are float32. O observation, A action numbers.

    Rows of an episode follow each other in time. Subsampled demonstrations keep the whole episodes' lengths and
    returns. The arrays are those of `Rows`.
    """

    @classmethod
    def load(cls, path: str | Path, format: str = "auto", time_limit: int | None = None) -> "Demonstrations":
        """Reads a file, a folder or the id of a Minari data set on this disk. Never unpickles anything.

        Args:
            path: an rlgen .npz; a .npz of whole episodes, of subsampled pairs, of OpenAI's or Stable-Baselines' expert
                data; a Minari folder or id; a folder or .npz of the `imitation` library; an .hdf5 file of D4RL's,
                robomimic's, tianshou's or openai/imitation's layout.
            format: "auto" (by content) or one of "rlgen", "episodes", "pairs", "minari", "imitation", "d4rl",
                "robomimic", "tianshou", "openai-imitation", "baselines".
            time_limit: steps after which the environment cuts an episode; only for formats that do not keep falls
                and time limits apart.

        Raises:
            InputError: nothing there, unknown or damaged content, missing keys, pickled content, values of a wrong
                kind, more than there is memory for.
        """
        return cls(**vars(formats.read(Path(path), format, time_limit)))

    @classmethod
    def from_episodes(
        cls,
        episodes: Sequence[Episode],
        env_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        source: str = "these episodes",
    ) -> "Demonstrations":
        """Joins whole episodes, of any lengths."""
        return cls(**vars(rows_from_episodes(episodes, source=source, env_id=env_id, metadata=metadata)))

    @classmethod
    def record(
        cls, policy: Policy, env: Any, episodes: int, seed: int = 0, deterministic: bool = True
    ) -> "Demonstrations":
        """Plays `policy` in an SB3 vector environment and keeps everything it saw and did.

        Each of the environment's N copies contributes a fixed number of episodes (so short episodes are not favoured),
        and episodes are ordered round by round. Actions are stored as the environment received them: clipped to its
        action space. A progress bar shows when standard error is a terminal.

        Args:
            policy: anything with SB3's `predict`; one with memory is handed its state (`rlgen.data.playing.Policy`).
            env: SB3 VecEnv that gives raw observations; those of several dimensions (windows) are flattened.
            episodes: how many to record, >= 1.
            seed: of the environment, and of torch while recording.

        Raises:
            InputError: a normalising environment, other spaces than the policy's or than demonstrations can hold
                (images, dictionaries), NaN or infinity in what the policy did or saw, `episodes` < 1.
        """
        found, env_id, metadata = record(policy, env, episodes, seed, deterministic)
        recorded = cls.from_episodes(found, env_id, metadata, source=f"the recording in {env_id or 'this environment'}")
        check_finite(recorded)
        return recorded

    def save(self, path: str | Path, format: str = "auto") -> None:
        """Writes a file or folder, whole or not at all; what is there of its kind is replaced. Never pickles anything.

        Args:
            path: the new file, or the new folder of "minari" and "imitation".
            format: "npz" (rlgen's own, which keeps everything), "hdf5" (D4RL's layout), "minari", "imitation", or
                "auto": by the name, where .npz, .hdf5 and .h5 are files and NAME-vN is a Minari data set.

        Raises:
            InputError: a name that says no format, a missing folder or package, subsampled demonstrations for a format
                of whole episodes.
        """
        formats.write(self, Path(path), format)

    def episodes(self) -> list[Episode]:
        """The whole episodes, the inverse of `from_episodes`.

        Raises:
            InputError: subsampled demonstrations, whose episodes are not whole.
        """
        return episodes_of(self)

    def first(self, n: int) -> "Demonstrations":
        """The first `n` episodes, as the GAIL paper cuts its data sets; `expert_return` stays that of all.

        Raises:
            InputError: n < 1, or more than there are.
        """
        if not 1 <= n <= self.n_episodes:
            raise problem(
                f"a number of episodes from 1 to {self.n_episodes}", f"{n}", f"choose fewer: {self.source} has no more"
            )
        whole = {} if self.expert_return is None else {WHOLE_FILE_RETURN: self.expert_return}
        return self._replace(self.episode < n, episodes=n, metadata=self.metadata | whole)

    def every(self, k: int, seed: int = 0) -> "Demonstrations":
        """Every k-th row of each episode from a random offset: the subsampling of Ho & Ermon 2016, Sec. 6.

        Differs from the released code: offsets come from NumPy's PCG64 generator, and an episode shorter than k
        starts within its length, so that it keeps a row. Episode e gets the same offset whatever comes after it.

        Raises:
            InputError: k < 1.
        """
        if k < 1:
            raise problem("a stride of at least 1", f"{k}", "give the number of steps between two kept rows")
        counts = np.bincount(self.episode, minlength=self.n_episodes)
        offsets = np.random.default_rng(seed).integers(0, np.clip(counts, 1, k))
        row_in_episode = np.arange(len(self)) - (np.cumsum(counts) - counts)[self.episode]
        kept = (row_in_episode - offsets[self.episode]) % k == 0
        return self._replace(kept, stride=self.stride * k, metadata=self.metadata | {"stride_seed": seed})

    def summary(self, action_space: Any = None) -> Summary:
        """Counts, returns, ranges and warnings; `action_space` (a Box) adds the share of clipped actions."""
        return summarise(self, action_space)

    def validate(self, env: Any) -> None:
        """Checks that these demonstrations fit `env` (a VecEnv, or anything with the two spaces) and are finite.

        NaN is a reward or return that nobody knows, and passes. Another environment id, other constructor's options,
        another margin rule or other bounds of actions than the recording's are warnings in the log.

        Raises:
            InputError: observations or actions that are no Box, or of other sizes; NaN or infinity, actions outside the
                action space.
        """
        validate(self, env)

    def transitions(self, device: str = "cpu") -> "Transitions":
        """A copy as torch tensors on `device`."""
        import torch

        from rlgen.data.transitions import Transitions

        return Transitions(
            *(torch.tensor(getattr(self, column.name), device=device) for column in fields(Transitions)),
        )

    @property
    def expert_return(self) -> float | None:
        """Mean return of all episodes of the file that these are the first of; None where no returns are known."""
        whole = self.metadata.get(WHOLE_FILE_RETURN)
        if isinstance(whole, int | float) and np.isfinite(whole):
            return float(whole)
        return None if self.episode_returns is None else float(self.episode_returns.mean(dtype=np.float64))

    def __repr__(self) -> str:
        return (
            f"Demonstrations({self.source}: {len(self)} rows, {self.n_episodes} episodes, "
            f"{self.observations.shape[1]} observation and {self.actions.shape[1]} action numbers, "
            f"env_id={self.env_id}, stride={self.stride})"
        )

    def _replace(self, rows: np.ndarray, episodes: int | None = None, **changes: Any) -> "Demonstrations":
        """The rows under a mask, and the first `episodes` episodes."""
        by_row = {name: getattr(self, name) for name in BY_ROW}
        by_episode = {name: getattr(self, name) for name in BY_EPISODE}
        cut: dict[str, Any] = {name: None if array is None else array[rows] for name, array in by_row.items()}
        cut |= {name: None if array is None else array[:episodes] for name, array in by_episode.items()}
        return replace(self, **cut, **changes)
