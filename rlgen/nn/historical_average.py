"""Historical averaging: a penalty that keeps parameters near the mean of their past values."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from rlgen.equations.penalties import Critic, historical_average_distance
from rlgen.errors import problem


class Remembering(nn.Module):
    """`network` with the mean of its past parameters, including the initial ones, in its state dict."""

    mean: Tensor
    count: Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        start = self.parameters_now().detach().clone()
        self.register_buffer("mean", start)
        self.register_buffer("count", torch.ones((), dtype=start.dtype, device=start.device))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def parameters_now(self) -> Tensor:
        """The current parameters as a vector [P], differentiable."""
        return parameters_to_vector(self.network.parameters())

    def distance(self) -> Tensor:
        """Squared distance of the parameters from the mean of their past values: a scalar."""
        return historical_average_distance(self.parameters_now(), self.mean)

    @torch.no_grad()
    def remember(self) -> None:
        """Include the current parameters in the mean."""
        self.count.add_(1)
        self.mean.add_((self.parameters_now() - self.mean) / self.count)


@dataclass(kw_only=True, eq=False)
class HistoricalAverage:
    """Historical averaging as a penalty. Salimans et al. 2016 (1606.03498), section 3.3. Use one object per network.

    For a generator use `Remembering` itself. It wraps the complete network, so put it last in a list of penalties.
    """

    weight: float = 1.0
    _network: Remembering | None = field(default=None, init=False, repr=False)

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._network is not None:
            raise problem("a separate HistoricalAverage for every network", "one in use", "make another")
        self._network = Remembering(network)
        return self._network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._network is not None, "wrap comes first"
        distance = self._network.distance()
        self._network.remember()
        return self.weight * distance
