"""A distribution over the cells of rows, by an autoregressive network with a softmax for each number."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rlgen.nn.autoregressive import MADE
from rlgen.nn.layers import full_precision


class BinnedDensity(nn.Module):
    """Probabilities of the cells of rows [B, D]. A number is in one of `bins` of equal width within ±`reach`, the
    outermost without an end; the bin of each depends on the bins of the numbers before it.

    It is PixelCNN's model (van den Oord et al. 2016, 1601.06759, eq. 1 and section 2: a softmax over the values of each
    number given those before it) with the network of Germain et al. 2015 (MADE, 1502.03509), as rows have no
    neighborhoods. A flow would need no bins, but in few dimensions it hardly distinguishes states that are visited
    differently: an autoregressive one of a single number is a Gaussian.
    """

    logits_mask: Tensor

    def __init__(self, size: int, hidden: Sequence[int], bins: int, reach: float):
        super().__init__()
        self.bins, self.reach = bins, reach
        self.network = MADE(size, hidden, outputs=bins, activation=nn.Tanh)
        of_numbers = self.network.layers[-1].mask.unflatten(0, (size, bins))[:, 0]  # type: ignore[union-attr, operator]
        self.register_buffer("logits_mask", of_numbers.float(), persistent=False)
        with torch.no_grad():
            for parameter in self.network.layers[-1].parameters():
                parameter.mul_(0.01)  # nearly uniform

    def cells(self, x: Float[Tensor, "B D"]) -> Int[Tensor, "B D"]:
        """The bin of each number."""
        return ((x / self.reach + 1) * (self.bins / 2)).floor().long().clamp(0, self.bins - 1)

    def log_probs(self, cells: Int[Tensor, "B D"]) -> Float[Tensor, "B D K"]:
        """Log-probability of every bin of each number, given the bins of those before it."""
        return full_precision(self.network(self._centers(cells))).log_softmax(-1)

    def log_prob(self, x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """Log-probability of the cell of each row, nats."""
        cells = self.cells(x)
        return self.log_probs(cells).gather(-1, cells.unsqueeze(-1)).squeeze(-1).sum(-1)

    def last_layer(
        self, x: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, "B D K"], Float[Tensor, "B D K"], Float[Tensor, "B D F"]]:
        """Of the last layer: probabilities, ∂ log ρ(x)/∂ logit, and the inputs of each number's logits, with a 1."""
        cells = self.cells(x)
        probs = self.log_probs(cells).exp()
        inputs = self.network.hidden(self._centers(cells)).unsqueeze(-2) * self.logits_mask
        features = torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)
        own = cells.unsqueeze(-1) == torch.arange(self.bins, device=cells.device)  # one_hot waits for the device
        return probs, own.to(probs) - probs, features

    def _centers(self, cells: Int[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """The middle of each bin, between -1 and 1."""
        return (2 * cells + 1).to(self.logits_mask) / self.bins - 1
