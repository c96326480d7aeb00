"""Normalizing flows: invertible transforms with the log-determinant of their Jacobian."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rlgen.nn.layers import full_precision, mlp


class Flow(nn.ModuleList):
    """A sequence of invertible steps. Rezende & Mohamed 2015 (1505.05770), eqs. 6 and 7.

    Each step has `forward` and `inverse`. Both take (z [..., Z], context or None), and return the transformed z and the
    log-determinant [...] of the forward transform.
    """

    def moved(self, z: Tensor, log_prob: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The transformed z and its log-density [...], nats; `log_prob` is the log-density of the original z."""
        for step in self:
            z, log_det = step(z, context)
            log_prob = log_prob - log_det
        return z, log_prob

    def origin(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The original of z under all steps, and the log-determinant [...] of the complete forward transform."""
        total = z.new_zeros(z.shape[:-1])
        for step in reversed(self):  # type: ignore[call-overload]
            z, log_det = step.inverse(z, context)  # type: ignore[operator]
            total = total + log_det
        return z, total


Events = Float[Tensor, "..."]
Context = Float[Tensor, "..."] | None
LogDet = Float[Tensor, "*batch"]


def alternating_mask(size: int, first: bool) -> Bool[Tensor, " D"]:
    """Mask [size] that is True for every second element, starting with the `first` or else with the second."""
    return torch.arange(size) % 2 == (0 if first else 1)


class Coupling(nn.Module):
    """Base class of couplings. `mask`: bool of the shape of an event, [D] or [C, H, W]; True components do not change.

    The input of `network` are the unchanged components, with zeros elsewhere; a context, if any, is appended along the
    first dimension of the event.
    """

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "..."], network: nn.Module):
        super().__init__()
        self.register_buffer("mask", mask)
        self.network = network

    def said(self, x: Tensor, context: Tensor | None) -> Tensor:
        """The network's output for the unchanged components."""
        event = self.mask.ndim
        seen = torch.where(self.mask, x, 0.0)
        if context is not None:
            seen = torch.cat([seen, context.expand(*seen.shape[:-event], *context.shape[-event:])], -event)
        return full_precision(self.network(seen))


class AdditiveCoupling(Coupling):
    """x + t where the mask is False, t a function of the unchanged components; it preserves volume. Dinh et al. 2015
    (NICE, 1410.8516), section 3.2.

    The network's output t has the shape of an event.
    """

    def forward(self, x: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The transformed x, and log |det Jacobian|, which is zero."""
        moved = x + torch.where(self.mask, 0.0, self.said(x, context))
        return moved, x.new_zeros(x.shape[: -self.mask.ndim])

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The original x of `moved`, and the log-determinant of `forward`."""
        x = moved - torch.where(self.mask, 0.0, self.said(moved, context))
        return x, x.new_zeros(x.shape[: -self.mask.ndim])


class AffineCoupling(Coupling):
    """x exp(s) + t where the mask is False, s and t functions of the unchanged components. Dinh et al. 2017 (Real NVP,
    1605.08803), eq. 4 and 5.

    The network's output is twice as long as an event along its first dimension: t, then s.

    Differs from the paper: the scale of the tanh that keeps s within ±`limit` is fixed instead of learned.
    """

    def __init__(self, mask: Bool[Tensor, "..."], network: nn.Module, limit: float = 3.0):
        super().__init__(mask, network)
        self.limit = limit

    def forward(self, x: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The transformed x, and log |det Jacobian|."""
        shift, log_scale = self._shift_and_log_scale(x, context)
        return x * log_scale.exp() + shift, self._sum(log_scale)

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The original x of `moved`, and the log-determinant of `forward` at x."""
        shift, log_scale = self._shift_and_log_scale(moved, context)
        return (moved - shift) * (-log_scale).exp(), self._sum(log_scale)

    def _shift_and_log_scale(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, raw = self.said(x, context).chunk(2, -self.mask.ndim)
        log_scale = self.limit * torch.tanh(raw / self.limit)
        return torch.where(self.mask, 0.0, shift), torch.where(self.mask, 0.0, log_scale)

    def _sum(self, log_scale: Tensor) -> Tensor:
        return log_scale.flatten(-self.mask.ndim).sum(-1)


def affine_couplings(size: int, context: int, steps: int, hidden: Sequence[int]) -> list[AffineCoupling]:
    """`steps` couplings of rows [..., size], with perceptrons as networks. Each changes the components that the one
    before does not change, and is the identity at initialization."""
    made = []
    for number in range(steps):
        network = mlp([size + context, *hidden, 2 * size], nn.ELU)
        for parameter in network[-1].parameters():
            nn.init.zeros_(parameter)
        made.append(AffineCoupling(alternating_mask(size, first=number % 2 == 0), network))
    return made
