"""Autoregressive networks, and the steps of flows that are made of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.errors import problem
from rlgen.nn.flows import Flow
from rlgen.nn.layers import full_precision


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
        return self.layers[-1](self.hidden(x, context)).unflatten(-1, (-1, self.outputs))

    def hidden(self, x: Float[Tensor, "*batch D"], context: Float[Tensor, "*some C"] | None = None) -> Tensor:
        """Activations [..., H] of the last hidden layer."""
        hidden = self.layers[0](x)
        if self.context is not None:
            hidden = hidden + self.context(context)
        for layer in self.layers[1:-1]:
            hidden = layer(self.activation(hidden))
        return self.activation(hidden)


Rows = Float[Tensor, "*batch D"]
Context = Float[Tensor, "..."] | None
LogDet = Float[Tensor, "*batch"]
LogProb = Float[Tensor, "*batch"]


class AutoregressiveStep(nn.Module, ABC):
    """Base class of steps that transform each component by two numbers, which depend on the components before it and on
    the context. `backwards` reverses the order of the components; set it for every second step."""

    def __init__(self, size: int, hidden: Sequence[int], context: int, backwards: bool, activation: type[nn.Module]):
        super().__init__()
        order = range(size)[::-1] if backwards else range(size)
        self.network = MADE(size, hidden, outputs=2, context=context, order=list(order), activation=activation)

    def numbers(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The two numbers of each component of x [..., D]."""
        first, second = full_precision(self.network(x, context)).unbind(-1)
        return first, second

    @abstractmethod
    def undone(self, moved: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The original of each component of `moved` [..., D] under its numbers, and the log-determinant [...]."""

    def inverse(self, moved: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The original of `moved`, and the log-determinant of `forward` there. It takes one pass per component."""
        found = torch.zeros_like(moved)
        for known in range(moved.shape[-1]):
            found, log_det = self.undone(moved, *self.numbers(found, context))
            # Later components are still wrong and may be infinite, and infinity times a mask of 0 is NaN.
            found = torch.where(self.network.position <= known, found, 0.0)
        return found, log_det


class InverseAutoregressiveStep(AutoregressiveStep):
    """z to σ z + (1 - σ) m; m and the gate σ = sigmoid(s) of each component depend on the components before it and on
    the context.

    Kingma et al. 2016 (1606.04934), algorithm 1 and eq. 13 and 14, the numerically stable form. `initial_gate`: initial
    s, a value at which a step changes z little.
    """

    def __init__(
        self, size: int, hidden: Sequence[int], context: int = 0, backwards: bool = False, initial_gate: float = 2.0
    ):
        super().__init__(size, hidden, context, backwards, nn.ELU)
        last = self.network.layers[-1]
        with torch.no_grad():
            last.bias.view(size, 2)[:, 1] += initial_gate  # type: ignore[operator, union-attr]

    def forward(self, z: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The transformed z, and log |det Jacobian|."""
        shift, gate_logit = self.numbers(z, context)
        return torch.lerp(shift, z, gate_logit.sigmoid()), F.logsigmoid(gate_logit).sum(-1)

    def undone(self, moved: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        gate = second.sigmoid()
        return (moved - (1 - gate) * first) / gate, F.logsigmoid(second).sum(-1)


class MaskedAutoregressiveStep(AutoregressiveStep):
    """x to (x - m) exp(-s); m and s of each component depend on the components before it and on the context. One pass
    turns data into noise. Papamakarios et al. 2017 (MAF, 1705.07057), eq. 3 to 5.

    Differs from the paper: a tanh keeps s within ±`limit`; at initialization a step changes x little.
    """

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        context: int = 0,
        backwards: bool = False,
        activation: type[nn.Module] = nn.ReLU,
        limit: float = 3.0,
    ):
        super().__init__(size, hidden, context, backwards, activation)
        self.limit = limit
        with torch.no_grad():
            for parameter in self.network.layers[-1].parameters():
                parameter.mul_(0.01)

    def forward(self, x: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The transformed x, and log |det Jacobian|."""
        shift, log_scale = self.numbers(x, context)
        return (x - shift) * (-log_scale).exp(), -log_scale.sum(-1)

    def numbers(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """m and s of each component of x [..., D]."""
        shift, raw = super().numbers(x, context)
        return shift, self.limit * torch.tanh(raw / self.limit)

    def undone(self, moved: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        return moved * second.exp() + first, -second.sum(-1)


class MaskedAutoregressiveFlow(nn.Module):
    """A density of rows [..., D] that is exact in one pass: `steps` masked autoregressive steps from a row to standard
    Gaussian noise, each in the opposite order of the one before. Papamakarios et al. 2017 (MAF, 1705.07057), section
    3.1."""

    def __init__(self, size: int, hidden: Sequence[int], steps: int, activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        self.steps = Flow(
            MaskedAutoregressiveStep(size, hidden, backwards=bool(number % 2), activation=activation)
            for number in range(steps)
        )

    def log_prob(self, x: Rows) -> LogProb:
        """log p(x) [...] of x [..., D], nats."""
        noise, minus_log_det = self.steps.moved(x, x.new_zeros(x.shape[:-1]))
        return gaussian_log_prob(noise, torch.zeros_like(noise), 1.0).sum(-1) - minus_log_det
