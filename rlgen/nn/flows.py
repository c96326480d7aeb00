"""Normalizing flows: invertible transforms with the log-determinant of their Jacobian."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem
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


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are zero where `mask` [J, I] is False."""

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "J I"]):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """Masked autoencoder for distribution estimation: inputs [..., D] to K outputs for each of them, [..., D, K]. The
    outputs of input d depend only on the inputs before d. Germain et al. 2015 (1502.03509), eq. 12 and 13.

    `order`: the position of each input, 0 to D - 1; by default their own order. `context`: dimension of a context on
    which all outputs depend, including the first one; 0 for none.

    Differs from the paper: the degrees of hidden units are evenly spaced instead of drawn, because a narrow layer could
    otherwise disconnect an input by chance; with a context, some units depend only on the context.
    """

    position: Tensor

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        outputs: int = 1,
        context: int = 0,
        order: Sequence[int] | None = None,
        activation: type[nn.Module] = nn.ReLU,
    ):
        super().__init__()
        narrowest = 2 if context else 1  # one unit for the context alone, one for the last inputs
        if min(size, outputs) < 1 or context < 0 or min(hidden, default=0) < narrowest:
            raise problem(
                f"1 or more inputs and outputs, a context of 0 or more, hidden layers of {narrowest} or more",
                f"size {size}, outputs {outputs}, context {context}, hidden {tuple(hidden)}",
                "use e.g. hidden layers twice as wide as the input",
            )
        position = torch.arange(size) if order is None else torch.as_tensor(order)
        if position.sort().values.tolist() != list(range(size)):
            raise problem(f"an order that holds each of 0 to {size - 1} once", f"{order}", "leave it out")
        self.register_buffer("position", position)
        self.outputs = outputs
        # A unit of degree k depends on the first k inputs. Without a context a unit of degree 0 would be constant.
        lowest = 0 if context else min(1, size - 1)
        hidden_degrees = [torch.linspace(size - 1, lowest, width).round().long() for width in hidden]
        degrees = [position + 1, *hidden_degrees]
        masks = [after[:, None] >= before for before, after in pairwise(degrees)]
        masks.append(position.repeat_interleave(outputs)[:, None] >= degrees[-1])
        self.layers = nn.ModuleList(MaskedLinear(mask) for mask in masks)
        self.context = nn.Linear(context, hidden[0], bias=False) if context else None
        self.activation = activation()

    def forward(
        self, x: Float[Tensor, "*batch D"], context: Float[Tensor, "*some C"] | None = None
    ) -> Float[Tensor, "*batch D K"]:
        """Outputs [..., D, K] of inputs [..., D]. The leading dimensions of `context` broadcast to those of `x`."""
        hidden = self.layers[0](x)
        if self.context is not None:
            hidden = hidden + self.context(context)
        for layer in self.layers[1:]:
            hidden = layer(self.activation(hidden))
        return hidden.unflatten(-1, (-1, self.outputs))


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


Rows = Float[Tensor, "*batch Z"]


class InverseAutoregressiveStep(nn.Module):
    """z to σ z + (1 - σ) m; m and the gate σ = sigmoid(s) of each component depend on the components before it and on
    the context.

    Kingma et al. 2016 (1606.04934), algorithm 1 and eq. 13 and 14, the numerically stable form. `backwards` reverses
    the order of the components; set it for every second step. `initial_gate`: initial s, a value at which a step
    changes z little.
    """

    def __init__(
        self, size: int, hidden: Sequence[int], context: int = 0, backwards: bool = False, initial_gate: float = 2.0
    ):
        super().__init__()
        order = range(size)[::-1] if backwards else range(size)
        self.network = MADE(size, hidden, outputs=2, context=context, order=list(order), activation=nn.ELU)
        last = self.network.layers[-1]
        with torch.no_grad():
            last.bias.view(size, 2)[:, 1] += initial_gate  # type: ignore[operator, union-attr]

    def forward(self, z: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The transformed z, and log |det Jacobian|."""
        shift, gate_logit = full_precision(self.network(z, context)).unbind(-1)
        return torch.lerp(shift, z, gate_logit.sigmoid()), F.logsigmoid(gate_logit).sum(-1)

    def inverse(self, moved: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The original z of `moved`, and the log-determinant of `forward` at z. It takes one pass per component."""
        z = torch.zeros_like(moved)
        for known in range(moved.shape[-1]):
            shift, gate_logit = full_precision(self.network(z, context)).unbind(-1)
            gate = gate_logit.sigmoid()
            found = (moved - (1 - gate) * shift) / gate
            # Later components are still wrong and may be infinite, and infinity times a mask of 0 is NaN.
            z = torch.where(self.network.position <= known, found, 0.0)
        return z, F.logsigmoid(gate_logit).sum(-1)
