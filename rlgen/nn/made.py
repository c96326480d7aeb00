"""Masked autoencoder: a perceptron of which each output sees only the inputs before it."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem


class MaskedLinear(nn.Linear):
    """A linear layer without the weights that `mask` [J, I] leaves out."""

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "J I"]):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """Inputs [..., D] to K numbers for each of them [..., D, K], those of d a function of the inputs before d alone.

    Germain et al. 2015 (1502.03509), eq. 12 and 13. `order`: the position of each input, 0 to D - 1; as they stand when
    left out. `context` numbers, where there are any, reach every output, the first one too.

    Differs from the paper: the hidden units' degrees are spread evenly instead of drawn, so that no narrow layer cuts
    an input off by chance; and with a context some see nothing else.
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
        narrowest = 2 if context else 1  # one unit cannot see both the context alone and the last inputs
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
        # A unit of degree k sees the first k inputs. Without a context one of degree 0 would be a mere constant.
        lowest = 0 if context else min(1, size - 1)
        spread = [torch.linspace(size - 1, lowest, width).round().long() for width in hidden]
        degrees = [position + 1, *spread]
        masks = [after[:, None] >= before for before, after in pairwise(degrees)]
        masks.append(position.repeat_interleave(outputs)[:, None] >= degrees[-1])
        self.layers = nn.ModuleList(MaskedLinear(mask) for mask in masks)
        self.context = nn.Linear(context, hidden[0], bias=False) if context else None
        self.activation = activation()

    def forward(
        self, x: Float[Tensor, "*batch D"], context: Float[Tensor, "*some C"] | None = None
    ) -> Float[Tensor, "*batch D K"]:
        """`context`'s leading dimensions broadcast to those of `x`."""
        hidden = self.layers[0](x)
        if self.context is not None:
            hidden = hidden + self.context(context)
        for layer in self.layers[1:]:
            hidden = layer(self.activation(hidden))
        return hidden.unflatten(-1, (-1, self.outputs))
