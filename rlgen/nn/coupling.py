"""Coupling layers: a part of the numbers stays and says how the rest moves, so that the way back is as cheap."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rlgen.nn.mlp import mlp
from rlgen.nn.precision import full_precision

Events = Float[Tensor, "..."]
Context = Float[Tensor, "..."] | None
LogDet = Float[Tensor, "*batch"]


def alternating_mask(size: int, first: bool) -> Bool[Tensor, " D"]:
    """Every second of `size` numbers, beginning with the `first` one or with the second."""
    return torch.arange(size) % 2 == (0 if first else 1)


class Coupling(nn.Module):
    """What couplings share. `mask`: bool of the event's own shape, [D] or [C, H, W]; where it is True, numbers stay.

    `network` gets the numbers that stay, zeros elsewhere, with a context, if any, appended along the event's first
    dimension.
    """

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "..."], network: nn.Module):
        super().__init__()
        self.register_buffer("mask", mask)
        self.network = network

    def said(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What the network makes of the numbers that stay."""
        event = self.mask.ndim
        seen = torch.where(self.mask, x, 0.0)
        if context is not None:
            seen = torch.cat([seen, context.expand(*seen.shape[:-event], *context.shape[-event:])], -event)
        return full_precision(self.network(seen))


class AdditiveCoupling(Coupling):
    """x + t(what stays) where the mask is False; volume stays. Dinh et al. 2015 (NICE, 1410.8516), section 3.2.

    The network's output has the event's shape.
    """

    def forward(self, x: Events, context: Context = None) -> tuple[Events, LogDet]:
        """What x becomes, and log |det of the Jacobian|, zeros."""
        moved = x + torch.where(self.mask, 0.0, self.said(x, context))
        return moved, x.new_zeros(x.shape[: -self.mask.ndim])

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The x that becomes `moved`, and the log-determinant of `forward`."""
        x = moved - torch.where(self.mask, 0.0, self.said(moved, context))
        return x, x.new_zeros(x.shape[: -self.mask.ndim])


class AffineCoupling(Coupling):
    """x exp(s) + t, s and t functions of what stays, where the mask is False. Dinh et al. 2017 (Real NVP, 1605.08803),
    eq. 4 and 5.

    The network's output is twice as long as the event along its first dimension: t, then s.

    Differs from the paper: s is held within ±`limit` by a hyperbolic tangent of fixed size instead of a learned one.
    """

    def __init__(self, mask: Bool[Tensor, "..."], network: nn.Module, limit: float = 3.0):
        super().__init__(mask, network)
        self.limit = limit

    def forward(self, x: Events, context: Context = None) -> tuple[Events, LogDet]:
        """What x becomes, and log |det of the Jacobian|."""
        shift, log_scale = self._shift_and_log_scale(x, context)
        return x * log_scale.exp() + shift, self._sum(log_scale)

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The x that becomes `moved`, and the log-determinant of `forward` there."""
        shift, log_scale = self._shift_and_log_scale(moved, context)
        return (moved - shift) * (-log_scale).exp(), self._sum(log_scale)

    def _shift_and_log_scale(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, raw = self.said(x, context).chunk(2, -self.mask.ndim)
        log_scale = self.limit * torch.tanh(raw / self.limit)
        return torch.where(self.mask, 0.0, shift), torch.where(self.mask, 0.0, log_scale)

    def _sum(self, log_scale: Tensor) -> Tensor:
        return log_scale.flatten(-self.mask.ndim).sum(-1)


def affine_couplings(size: int, context: int, steps: int, hidden: Sequence[int]) -> list[AffineCoupling]:
    """`steps` couplings of rows [..., size] with perceptrons in them; each moves what the one before let stay, and
    begins as the identity."""
    made = []
    for number in range(steps):
        network = mlp([size + context, *hidden, 2 * size], nn.ELU)
        for parameter in network[-1].parameters():
            nn.init.zeros_(parameter)
        made.append(AffineCoupling(alternating_mask(size, first=number % 2 == 0), network))
    return made
