"""Demonstrations: the transitions of an expert, row by row."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlgen.data import formats
from rlgen.data import observations as tree
from rlgen.data.episode import Episode, episodes_of, rows_from_episodes
from rlgen.data.playing import Policy
from rlgen.data.recording import record
from rlgen.data.rows import BOTH, ENDED_BY_TASK, Rows
from rlgen.data.summary import Summary, summarize
from rlgen.data.validation import check_finite, validate
from rlgen.errors import problem

if TYPE_CHECKING:
    from torch import Tensor

    from rlgen.data.transitions import Transitions

BY_ROW = ("observations", "actions", "next_observations", "rewards", "terminated", "truncated", "episode", "step")
BY_EPISODE = ("episode_returns", "episode_lengths")
WHOLE_FILE_RETURN = "expert_return_of_whole_file"
"""Metadata key of demonstrations cut by `first`: the mean return of all episodes of the file."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Demonstrations(Rows):
    """R transitions of E episodes as read-only NumPy arrays; floats are float32. O observation, A action dimensions.

    The rows of an episode are in time order. Subsampled demonstrations keep the lengths and returns of the complete
    episodes. The arrays are those of `Rows`.
    """

    @classmethod
    def load(cls, path: str | Path, format: str = "auto", time_limit: int | None = None) -> "Demonstrations":
        """Reads a file, a folder, or a Minari data set on this disk by its id. Never unpickles anything.

        Args:
            path: an rlgen .npz; a .npz of whole episodes, of subsampled pairs, or in the layout of OpenAI's or
                Stable-Baselines' expert data; a Minari folder or id (minari:NAME, or NAME alone); a folder or .npz of
                the `imitation` library; an .hdf5 file in the layout of D4RL, robomimic, tianshou or openai/imitation.
            format: "auto" (by content) or one of "rlgen", "episodes", "pairs", "minari", "imitation", "d4rl",
                "robomimic", "tianshou", "openai-imitation", "baselines".
            time_limit: steps after which the environment truncates an episode; only for formats that do not
                distinguish termination from a time limit.

        Raises:
            InputError: a missing file, unknown or damaged content, missing keys, pickled content, values of a wrong
                type, or more data than fits in memory.
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
        """Joins whole episodes of any lengths."""
        return cls(**vars(rows_from_episodes(episodes, source=source, env_id=env_id, metadata=metadata)))

    @classmethod
    def record(
        cls, policy: Policy, env: Any, episodes: int, seed: int = 0, deterministic: bool = True
    ) -> "Demonstrations":
        """Plays `policy` in an SB3 vector environment and records every transition.

        Each of the N environments contributes a fixed number of episodes (so short episodes are not favored), and
        episodes are ordered round by round. Actions are stored as the environment received them: clipped to its action
        space. A progress bar appears if standard error is a terminal.

        Args:
            policy: anything with SB3's `predict`; a recurrent policy receives its state (`rlgen.data.playing.Policy`).
            env: SB3 VecEnv that returns raw observations; those of several dimensions (windows) are flattened.
            episodes: number of episodes to record, >= 1.
            seed: random seed of the environment, and of torch while recording.

        Raises:
            InputError: a normalizing environment, spaces that differ from the policy's or that demonstrations cannot
                hold (texts, tuples), NaN or infinity in observations or actions, `episodes` < 1.
        """
        found, env_id, metadata = record(policy, env, episodes, seed, deterministic)
        recorded = cls.from_episodes(found, env_id, metadata, source=f"the recording in {env_id or 'this environment'}")
        check_finite(recorded)
        return recorded

    def save(self, path: str | Path, format: str = "auto") -> None:
        """Writes a file or folder completely or not at all, and replaces one of the same kind. Never pickles anything.

        Args:
            path: the new file, or the new folder for "minari" and "imitation".
            format: "npz" (rlgen's own, which keeps everything), "hdf5" (D4RL's layout), "minari", "imitation", or
                "auto": chosen by the name, where .npz, .hdf5 and .h5 are files and NAME-vN is a Minari data set.

        Raises:
            InputError: a name that determines no format, a missing package, or subsampled demonstrations for
                a format of whole episodes.
        """
        formats.write(self, Path(path), format)

    def episodes(self) -> list[Episode]:
        """The complete episodes; the inverse of `from_episodes`.

        Raises:
            InputError: if the demonstrations are subsampled.
        """
        return episodes_of(self)

    def first(self, n: int) -> "Demonstrations":
        """The first `n` episodes, as the GAIL paper cuts its data sets; `expert_return` stays the mean over all.

        Raises:
            InputError: n < 1, or more episodes than there are.
        """
        if not 1 <= n <= self.n_episodes:
            raise problem(
                f"a number of episodes from 1 to {self.n_episodes}", f"{n}", f"choose fewer: {self.source} has no more"
            )
        whole = {} if self.expert_return is None else {WHOLE_FILE_RETURN: self.expert_return}
        return self._replace(self.episode < n, episodes=n, metadata=self.metadata | whole)

    def every(self, k: int, seed: int = 0) -> "Demonstrations":
        """Every k-th row of each episode from a random offset: the subsampling of Ho & Ermon 2016, Sec. 6.

        Differs from the released code: offsets come from NumPy's PCG64 generator, and an episode shorter than k gets
        an offset within its length, so that it keeps a row. The offset of an episode does not depend on later ones.

        Raises:
            InputError: k < 1.
        """
        if k < 1:
            raise problem("a stride of at least 1", f"{k}", "give the number of steps between two kept rows")
        counts = np.bincount(self.episode, minlength=self.n_episodes)
        offsets = np.random.default_rng(seed).integers(0, np.clip(counts, 1, k))
        row_in_episode = np.arange(len(self)) - (np.cumsum(counts) - counts)[self.episode]
        kept = (row_in_episode - offsets[self.episode]) % k == 0
        noted: dict[str, Any] = {"stride_seed": seed}
        if self.ended_by_task is not None:
            noted[ENDED_BY_TASK] = self.ended_by_task.tolist()
        return self._replace(kept, stride=self.stride * k, metadata=self.metadata | noted)

    def summary(self, action_space: Any = None) -> Summary:
        """Counts, returns, ranges and warnings; `action_space` (a Box) adds the fraction of clipped actions."""
        return summarize(self, action_space)

    def validate(self, env: Any) -> None:
        """Checks that these demonstrations fit `env` (a VecEnv, or any object with the two spaces) and are finite.

        NaN marks a reward or return as unknown and is accepted. An environment id, constructor options, a margin rule
        or action bounds that differ from the recording's only log a warning.

        Raises:
            InputError: observations or actions of an unsupported space or a wrong size; NaN or infinity; actions
                outside the action space.
        """
        validate(self, env)

    def transitions(self, device: str = "cpu") -> "Transitions":
        """A copy as torch tensors on `device`. On a CPU, images and dictionaries are not copied: do not change them."""
        import torch

        from rlgen.data.transitions import Transitions, moved

        rest = {
            name: torch.tensor(getattr(self, name), device=device) for name in ("actions", "terminated", "truncated")
        }
        seen: Any
        if tree.is_flat(self.observations):
            seen = (torch.tensor(getattr(self, name), device=device) for name in BOTH)
        else:
            rows = next(iter(tree.entries(self.next_observations).values()))
            store = tree.each_entry(lambda rows: _shared_tensor(rows.store), self.next_observations)
            seen = moved(*tree.of_store(store, torch.tensor(rows.index)), device)
        return Transitions(**dict(zip(BOTH, seen, strict=True)), **rest)

    @property
    def expert_return(self) -> float | None:
        """Mean return of all episodes of the file, including those that `first` dropped; None if they are unknown."""
        whole = self.metadata.get(WHOLE_FILE_RETURN)
        if isinstance(whole, int | float) and np.isfinite(whole):
            return float(whole)
        return None if self.episode_returns is None else float(self.episode_returns.mean(dtype=np.float64))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is imitated: names, shapes and numbers of all arrays, whatever file they come from."""
        digest = hashlib.sha256()
        for name in (*BY_ROW, *BY_EPISODE):
            if (values := getattr(self, name)) is None:
                digest.update(f"{name} None\n".encode())
                continue
            for entry, array in tree.entries(values).items():
                kind = "" if tree.is_flat(values) or name not in BOTH else f"{entry} {array.dtype} "
                digest.update(f"{name} {kind}{array.shape}\n".encode())
                for some in tree.chunks(array):
                    digest.update(some.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return (
            f"Demonstrations({self.source}: {len(self)} rows, {self.n_episodes} episodes, "
            f"{self._described_observations()} and {self.actions.shape[1]} action dimensions, "
            f"env_id={self.env_id}, stride={self.stride})"
        )

    def _described_observations(self) -> str:
        if tree.is_flat(self.observations):
            return f"{self.observations.shape[1]} observation"
        return f"observations ({tree.described(self.observations)})"

    def _replace(self, rows: np.ndarray, episodes: int | None = None, **changes: Any) -> "Demonstrations":
        """The rows selected by the mask `rows`, and the first `episodes` episodes."""
        by_row = {name: getattr(self, name) for name in BY_ROW if name not in BOTH}
        by_episode = {name: getattr(self, name) for name in BY_EPISODE}
        cut: dict[str, Any] = {name: None if array is None else array[rows] for name, array in by_row.items()}
        cut |= {name: None if array is None else array[:episodes] for name, array in by_episode.items()}
        cut |= zip(BOTH, tree.taken(self.observations, self.next_observations, rows), strict=True)
        return replace(self, **cut, **changes)


def require_demonstrations(found: Any) -> None:
    """Raises `InputError` for anything but `Demonstrations`."""
    if not isinstance(found, Demonstrations):
        remedy = (
            "use Demonstrations.load(path) or Demonstrations.from_episodes(episodes); name other arguments: config=…"
        )
        raise problem("demonstrations as Demonstrations", f"a {type(found).__name__}", remedy)


def _shared_tensor(array: np.ndarray) -> "Tensor":
    """The array as a tensor in the same memory."""
    import torch

    with warnings.catch_warnings():  # the array is read-only, and torch cannot mark a tensor so
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)
