"""Scaling of actions to [-1, 1]."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
