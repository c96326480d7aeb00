"""Observation normaliser: a module whose statistics live in its state dict and move only when told to."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen import distributed
from rlgen.equations.statistics import merge_moments
from rlgen.errors import problem

FLOOR = 0.02
"""Fraction of the typical standard deviation: 0.006 on Ant's demonstrations, 0.009 on Humanoid's, 0.017 on
HalfCheetah's, near the absolute 0.01 that was measured there."""
VARIES = 1e-6
"""Fraction of a feature's mean and of the largest standard deviation below which a feature counts as constant: some
ten times the rounding of float32."""
CACHED_NUMBERS = 2**18
"""Rows are merged so many numbers at a time: five times as fast for a rollout of Humanoid than all at once."""


class Normaliser(nn.Module):
    """x to clip((x - mean) / std, ±clip), std = sqrt(var) + floor · typical std. Shapes: [..., O] to [..., O].

    Nothing but merging changes the statistics, so a whole round of updates sees one and the same function.
    The floor keeps features that hardly vary (contact forces of an expert that never falls) from exploding. It is
    relative, to the median standard deviation of the features that vary, so that the unit of the data does not matter.
    Rows with NaN or infinity are never merged: a batch that holds one leaves the statistics as they are.
    """

    mean: Tensor
    std: Tensor
    var: Tensor
    count: Tensor
    clip: Tensor

    def __init__(self, size: int, clip: float = 10.0, floor: float = FLOOR):
        super().__init__()
        if clip <= 0 or floor <= 0:
            raise problem(
                "a positive clip and floor", f"clip {clip}, floor {floor}", f"use e.g. clip 10 and floor {FLOOR}"
            )
        self.floor = floor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_buffer("var", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("clip", torch.tensor(float(clip)))

    @classmethod
    def of(cls, rows: Tensor, clip: float = 10.0, floor: float = FLOOR) -> "Normaliser":
        """A normaliser with the statistics of `rows` [B, O]."""
        normaliser = cls(rows.shape[-1], clip, floor).to(rows.device)
        normaliser.merge(rows)
        return normaliser

    @torch.no_grad()
    def merge(self, rows: Tensor) -> None:
        """Take `rows` [B, O] into the statistics."""
        rows = rows.reshape(-1, rows.shape[-1])
        for some in rows.split(max(1, CACHED_NUMBERS // rows.shape[-1])):
            self._merge(some.double())

    @torch.no_grad()
    def cover(self, rows: Tensor) -> None:
        """Widen std where `rows` [B, O] would be clipped, until the next merge: demonstrations of an expert that mostly
        stands still hold their few large deviations, those of the first steps, far beyond 10 standard deviations, and a
        policy that sees them clipped cannot learn to come back."""
        largest = (rows.reshape(-1, rows.shape[-1]) - self.mean).abs().amax(0)
        self.std.copy_(torch.where(torch.isfinite(largest), torch.maximum(self.std, largest / self.clip), self.std))

    @torch.no_grad()
    def merge_rollout(self, rows: Tensor) -> None:
        """Take the rows [B, O] of all processes that train together into the statistics (`rlgen.distributed`)."""
        if distributed.world_size() == 1:
            return self.merge(rows)
        rows = rows.double()
        for moments in zip(*(distributed.all_gather(each[None]) for each in self._moments(rows)), strict=True):
            self._take(*moments)

    def _merge(self, rows: Tensor) -> None:
        self._take(*self._moments(rows))

    def _moments(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = rows.mean(0)
        var = (rows - mean).square_().mean(0)  # ten times as fast as torch.var along this dimension
        return mean, var, torch.full_like(self.count, len(rows))

    def _take(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        """Those of a sample: [O], [O] and a number."""
        finite = torch.isfinite(mean).all() & torch.isfinite(var).all()
        merged = merge_moments(self.mean.double(), self.var, self.count, mean, var, count)
        for kept, value in zip((self.mean, self.var, self.count), merged, strict=True):
            kept.copy_(torch.where(finite, value, kept))
        std = self.var.sqrt()
        self.std.copy_(torch.where(self.count > 0, std + self.floor * typical_std(self.mean, std), self.std))

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp((x - self.mean).div_(self.std), -self.clip, self.clip)


def typical_std(mean: Float[Tensor, " O"], std: Float[Tensor, " O"]) -> Float[Tensor, ""]:
    """Median standard deviation of the features that vary at all, in their unit; 1 where none does."""
    varies = (std > VARIES * mean.abs()) & (std > VARIES * std.max())
    return torch.where(varies, std, torch.nan).nanmedian().nan_to_num(nan=1.0)
