"""Normalizing flows: invertible transforms with the log-determinant of their Jacobian."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rlgen.equations.flows import additive_coupling, affine_coupling, inverse_affine_coupling
from rlgen.nn.layers import full_precision, mlp


class Flow(nn.ModuleList):
    """A sequence of invertible steps. Rezende & Mohamed 2015 (1505.05770), eqs. 6 and 7.

    Each step has `forward` and `inverse`. Both take (z [..., Z], context or None), and return the transformed z and the
    log-determinant [...] of the forward transform. `event`: number of dimensions of an event, 1 for rows [..., Z] and 3
    for images [..., C, H, W].
    """

    def __init__(self, steps: Iterable[nn.Module] = (), event: int = 1):
        super().__init__(steps)
        self.event = event

    def moved(self, z: Tensor, log_prob: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The transformed z and its log-density [...], nats; `log_prob` is the log-density of the original z."""
        for step in self:
            z, log_det = step(z, context)
            log_prob = log_prob - log_det
        return z, log_prob

    def origin(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The original of z under all steps, and the log-determinant [...] of the complete forward transform."""
        total = z.new_zeros(z.shape[: -self.event])
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
    """Base class of couplings. `mask`: bool with the dimensions of an event, [D] or [C, H, W], to which it broadcasts;
    True components do not change.

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
        return additive_coupling(x, self.said(x, context), self.mask), x.new_zeros(x.shape[: -self.mask.ndim])

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The original x of `moved`, and the log-determinant of `forward`."""
        x = additive_coupling(moved, -self.said(moved, context), self.mask)
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
        return affine_coupling(x, *self._shift_and_log_scale(x, context), self.mask)

    def inverse(self, moved: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The original x of `moved`, and the log-determinant of `forward` at x."""
        return inverse_affine_coupling(moved, *self._shift_and_log_scale(moved, context), self.mask)

    def _shift_and_log_scale(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, raw = self.said(x, context).chunk(2, -self.mask.ndim)
        return shift, self.limit * torch.tanh(raw / self.limit)


class BetweenParts(nn.Module):
    """The network of a coupling whose `mask` divides the first dimension of an event: [D], or [C, 1, 1] for images. It
    gives `network` the unchanged entries alone and puts its outputs at the changed ones, with zeros elsewhere, so that
    no weight is idle.

    `network` maps the unchanged entries to one output for each changed entry, or to all shifts and then all scales.
    """

    seen: Tensor
    changed: Tensor

    def __init__(self, mask: Bool[Tensor, "..."], network: nn.Module):
        super().__init__()
        self.dimension = -mask.ndim
        self.entries = len(mask)
        kept = mask.flatten()
        self.register_buffer("seen", kept.nonzero().squeeze(1), persistent=False)
        self.register_buffer("changed", (~kept).nonzero().squeeze(1), persistent=False)
        self.network = network

    def forward(self, x: Events) -> Events:
        outputs = self.network(x.index_select(self.dimension, self.seen))
        parts = outputs.unflatten(self.dimension, (-1, len(self.changed)))
        shape = list(parts.shape)
        shape[self.dimension] = self.entries
        placed = parts.new_zeros(shape).index_copy(self.dimension, self.changed, parts)
        return placed.flatten(self.dimension - 1, self.dimension)


class DiagonalScale(nn.Module):
    """z exp(s), with a learned s for each component of rows [..., size]. Dinh et al. 2015 (NICE, 1410.8516), section
    3.3.

    `speed`: s of a parameter of 1. Adam changes a parameter by about its learning rate in a step, whatever the
    gradient, and logarithms of scales have far to go.
    """

    def __init__(self, size: int, speed: float = 10.0):
        super().__init__()
        self.speed = speed
        self.parameter = nn.Parameter(torch.zeros(size))

    @property
    def log_scale(self) -> Tensor:
        """s [size]."""
        return self.speed * self.parameter

    def forward(self, z: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The scaled z, and log |det Jacobian|."""
        return z * self.log_scale.exp(), self.log_scale.sum().expand(z.shape[:-1])

    def inverse(self, scaled: Events, context: Context = None) -> tuple[Events, LogDet]:
        """The original z, and the log-determinant of `forward`."""
        return scaled * (-self.log_scale).exp(), self.log_scale.sum().expand(scaled.shape[:-1])

    @torch.no_grad()
    def standardize(self, rows: Float[Tensor, "B D"], std: float, least_std: float) -> None:
        """Set s so that every component of the scaled `rows` has the standard deviation `std`, at most: those of the
        rows count as no less than `least_std`."""
        self.parameter.copy_((std / rows.std(0, correction=0).clamp(min=least_std)).log() / self.speed)


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
