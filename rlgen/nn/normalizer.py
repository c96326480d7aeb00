"""Normalization of network inputs: observations by running statistics in a state dict, which only explicit calls
update, and actions by their bounds."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen import distributed
from rlgen.equations.gaussians import merge_moments
from rlgen.errors import problem

FLOOR = 0.02
"""Floor as a fraction of the typical standard deviation. In absolute terms it is 0.006 for demonstrations of Ant, 0.009
for Humanoid and 0.017 for HalfCheetah, near the 0.01 that was tuned there."""
VARIES = 1e-6
"""Fraction of a feature's mean, and of the largest standard deviation, below which a feature counts as constant: about
ten times the rounding error of float32."""
CACHED_NUMBERS = 2**18
"""Elements merged at a time: five times as fast for a rollout of Humanoid as merging all rows at once."""


class Normalizer(nn.Module):
    """Maps x to clip((x - mean) / std, ±clip), with std = sqrt(var) + floor · typical std. Shapes: [..., O] → [..., O].

    - Only merging (and `cover`) changes the statistics, so the function is constant during a round of updates.
    - The floor limits features that hardly vary (contact forces of an expert that never falls). It is relative to the
      median standard deviation of the features that vary, so the unit of the data does not matter.
    - A batch with NaN or infinity is not merged.
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
    def of(cls, rows: Tensor, clip: float = 10.0, floor: float = FLOOR) -> "Normalizer":
        """A normalizer with the statistics of `rows` [B, O]."""
        normalizer = cls(rows.shape[-1], clip, floor).to(rows.device)
        normalizer.merge(rows)
        return normalizer

    @torch.no_grad()
    def merge(self, rows: Tensor) -> None:
        """Merge `rows` [B, O] into the statistics."""
        rows = rows.reshape(-1, rows.shape[-1])
        for some in rows.split(max(1, CACHED_NUMBERS // rows.shape[-1])):
            self._merge(some.double())

    @torch.no_grad()
    def cover(self, rows: Tensor) -> None:
        """Increase std where `rows` [B, O] would be clipped, until the next merge.

        In demonstrations of an expert that mostly stands still, the few large deviations of the first steps are far
        beyond 10 standard deviations. A policy that receives them clipped cannot learn to recover.
        """
        largest = (rows.reshape(-1, rows.shape[-1]) - self.mean).abs().amax(0)
        self.std.copy_(torch.where(torch.isfinite(largest), torch.maximum(self.std, largest / self.clip), self.std))

    @torch.no_grad()
    def merge_rollout(self, rows: Tensor) -> None:
        """Merge the rows [B, O] of all training processes into the statistics (`rlgen.distributed`)."""
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
        """Merge the moments of a sample: mean [O], var [O] and count []."""
        finite = torch.isfinite(mean).all() & torch.isfinite(var).all()
        merged = merge_moments(self.mean.double(), self.var, self.count, mean, var, count)
        for kept, value in zip((self.mean, self.var, self.count), merged, strict=True):
            kept.copy_(torch.where(finite, value, kept))
        std = self.var.sqrt()
        self.std.copy_(torch.where(self.count > 0, std + self.floor * typical_std(self.mean, std), self.std))

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp((x - self.mean).div_(self.std), -self.clip, self.clip)


def typical_std(mean: Float[Tensor, " O"], std: Float[Tensor, " O"]) -> Float[Tensor, ""]:
    """Median standard deviation of the features that vary, in their unit; 1 if none varies."""
    varies = (std > VARIES * mean.abs()) & (std > VARIES * std.max())
    return torch.where(varies, std, torch.nan).nanmedian().nan_to_num(nan=1.0)


@dataclass(frozen=True)
class ActionScale:
    """Maps actions [..., A] from [low, high] to [-1, 1]; components without bounds, or with equal ones, stay as they
    are."""

    center: Tensor
    half_range: Tensor

    @classmethod
    def of(cls, low: Tensor, high: Tensor) -> "ActionScale":
        bounded = torch.isfinite(low) & torch.isfinite(high) & (low < high)
        center = torch.where(bounded, (low + high) / 2, torch.zeros_like(low))
        half_range = torch.where(bounded, (high - low) / 2, torch.ones_like(low))
        return cls(center, half_range)

    def __call__(self, actions: Tensor) -> Tensor:
        return (actions - self.center) / self.half_range
