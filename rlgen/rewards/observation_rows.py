"""Observations and actions of any space as rows of floats, which discriminators read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.recording import action_bounds, is_whole
from rlgen.data.spaces import channels_first, channels_first_shape, is_codes, is_image, with_entries
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.nn.normalizer import ActionScale, Normalizer
from rlgen.nn.one_hot import OneHot

ROWS_AT_ONCE = 512
"""Rows of images that are floats at a time."""


class Numbers:
    """Vectors and windows [B, ...]: flattened, normalized by component."""

    def __init__(self, size: int):
        self.size, self.normalizer = size, Normalizer(size)

    def varying(self, rows: Tensor) -> Tensor:
        """The numbers [B, size] that the statistics are of."""
        return rows.reshape(len(rows), self.size).float()

    def __call__(self, rows: Tensor) -> Tensor:
        return self.normalizer(self.varying(rows))


class Image:
    """Images of bytes [B, C, H, W] or [B, H, W, C]: channels first, from [0, 1], normalized by channel, flattened."""

    def __init__(self, shape: tuple[int, int, int]):
        self.shape, self.size, self.normalizer = shape, torch.Size(shape).numel(), Normalizer(shape[0])

    def varying(self, rows: Tensor) -> Tensor:
        """The numbers [B, H, W, C] that the statistics are of."""
        return (channels_first(rows, self.shape).float() / 255).movedim(1, -1)

    def __call__(self, rows: Tensor) -> Tensor:
        return self.normalizer(self.varying(rows)).movedim(-1, 1).flatten(1)


class Discrete(OneHot):
    """Whole numbers of a discrete space, or codes: one-hot."""

    def varying(self, rows: Tensor) -> Tensor:
        """The numbers [B, size] of the rows, which have no statistics."""
        return self(rows)


class ObservationRows:
    """Maps observations of `space` to rows [B, size] of floats, entry by entry, normalized by statistics that only
    `merge` changes: at first those of `demonstrated` observations.

    `observed`, if not empty, selects dimensions of vectors, as `selected` reads them. Raises `InputError` for a
    selection of other observations, or of what they do not have.
    """

    def __init__(self, space: Any, demonstrated: Any, observed: Sequence[str] = ()):
        self.entries: dict[str, Numbers | Image | Discrete] = {
            name: entry_of(inner) for name, inner in sorted(with_entries(space).items())
        }
        self.size = sum(entry.size for entry in self.entries.values())
        device = next(iter(tree.entries(demonstrated).values())).device
        for normalizer in self._normalizers().values():
            normalizer.to(device)
        self._merge(demonstrated, Normalizer.merge)
        self.columns: Tensor | None = None
        if observed:
            if not isinstance(self.entries.get(""), Numbers):
                raise problem("vectors, of which dimensions can be selected", f"{space}", "leave `observed` out")
            self.columns = torch.tensor(selected(observed, self.size), device=device)
            self.size = len(self.columns)

    def __call__(self, observations: Any) -> Tensor:
        given = tree.entries(observations)
        rows = torch.cat([entry(given[name][:]) for name, entry in self.entries.items()], 1)
        return rows if self.columns is None else rows.index_select(1, self.columns)

    @property
    def images(self) -> list[tuple[tuple[int, int, int], int]]:
        """Shape [C, H, W] and first column of every image."""
        found, start = [], 0
        for entry in self.entries.values():
            if isinstance(entry, Image):
                found.append((entry.shape, start))
            start += entry.size
        return found

    def merge(self, observations: Any) -> None:
        """Merges observations of all training processes into the statistics."""
        self._merge(observations, Normalizer.merge_rollout)

    def _merge(self, observations: Any, merge: Callable[[Normalizer, Tensor], None]) -> None:
        for name, rows in tree.entries(observations).items():
            if not isinstance(entry := self.entries[name], Discrete):
                for some in rows.split(ROWS_AT_ONCE if isinstance(entry, Image) else max(1, len(rows))):
                    merge(entry.normalizer, entry.varying(some))

    def state_dict(self) -> dict[str, Any]:
        return tree.of_entries({name: each.state_dict() for name, each in self._normalizers().items()})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, normalizer in self._normalizers().items():
            normalizer.load_state_dict(state[name] if name else state)

    def _normalizers(self) -> dict[str, Normalizer]:
        return {name: entry.normalizer for name, entry in self.entries.items() if not isinstance(entry, Discrete)}


def selected(observed: Sequence[str], size: int) -> list[int]:
    """The dimensions, ascending, that texts such as "3" and "0-10" select of `size`. Raises `InputError` for others."""
    found: set[int] = set()
    for each in map(str, observed):
        first, dash, last = each.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise problem("observation dimensions such as 3 or 0-10", repr(each), "correct `observed`")
        found.update(range(int(first), int(last or first) + 1))
    if not found or max(found) >= size:
        got = ", ".join(map(str, observed))
        raise problem(f"observation dimensions from 0 to {size - 1}", got, "correct `observed`")
    return sorted(found)


def entry_of(space: Any) -> Numbers | Image | Discrete:
    """What reads the observations of a space that is no dictionary."""
    if is_image(space) and len(space.shape) == 3:
        return Image(channels_first_shape(space.shape))
    if (counts := discrete_counts(space)) is not None:
        return Discrete(counts)
    return Numbers(max(1, torch.Size(space.shape).numel()))


def discrete_counts(space: Any) -> tuple[int, ...] | None:
    """Numbers of values of a Discrete or MultiDiscrete space, or of a Box of codes; None for other spaces."""
    if is_codes(space):
        return tuple((space.high.ravel().astype(int) + 1).tolist())
    if not is_whole(space) or (hasattr(space, "n") and space.shape):
        return None
    low, high = action_bounds(space)
    return tuple(int(count) for count in high - low + 1)


def action_encoding(space: Any, device: torch.device) -> tuple[Callable[[Tensor], Tensor], int]:
    """Maps actions [B, A] of `space` to floats [B, E], and E: those of a Box scaled to [-1, 1], those of a Discrete or
    MultiDiscrete space one-hot, those of a MultiBinary one as they are."""
    if (counts := discrete_counts(space)) is not None:
        return OneHot(counts), sum(counts)
    low, high = (torch.tensor(bound, dtype=torch.float32, device=device) for bound in action_bounds(space))
    return (ActionScale.of(low, high) if hasattr(space, "low") else Tensor.float), len(low)


class LazyRows:
    """What `inputs` makes of the rows of `batch`, computed where they are indexed: the float images of a complete batch
    may not fit into memory."""

    def __init__(self, inputs: Callable[[Transitions], Tensor], batch: Transitions):
        self.inputs, self.batch = inputs, batch

    def __len__(self) -> int:
        return len(self.batch)

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        return self.inputs(self.batch[places])

    @property
    def device(self) -> torch.device:
        return self.batch.terminated.device


def in_parts(rows: Tensor | LazyRows) -> Iterator[Tensor]:
    """All rows in order: those of a tensor at once, lazy ones some at a time."""
    size = len(rows) if isinstance(rows, Tensor) else ROWS_AT_ONCE
    for start in range(0, len(rows), max(1, size)):
        yield rows[slice(start, start + size)]
