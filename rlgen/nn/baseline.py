"""A learned baseline of a score-function estimator. Mnih & Gregor 2014 (NVIL, 1402.0030), section 2.3."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.nn.layers import full_precision

DECAY = 0.95
"""Decay per update of the averages of the signal; 0.8 in the paper, whose signals have fewer choices per update."""
LEAST_STD = 1e-3
PerRow = Float[Tensor, " B"]


class Baseline(nn.Module):
    """Predicts the learning signal [B] of a choice from the input and the state in which the choice is made: the
    running mean of the signal plus its running standard deviation times a perceptron's output."""

    mean: Tensor
    variance: Tensor

    def __init__(self, numbers: int, features: int, hidden: int):
        super().__init__()
        self.input, self.state = nn.Linear(numbers, hidden), nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, 1)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("variance", torch.ones(()))

    @property
    def std(self) -> Tensor:
        """Running standard deviation of the signal."""
        return self.variance.sqrt().clamp(min=LEAST_STD)

    def of_input(self, inputs: Float[Tensor, "B I"]) -> Float[Tensor, "B F"]:
        """What all choices about the same input share."""
        return self.input(inputs)

    def forward(self, of_input: Float[Tensor, "B F"], state: Float[Tensor, "B G"]) -> PerRow:
        """The prediction; the state gets no gradient from it, because the baseline only reduces variance."""
        hidden = (of_input + self.state(state.detach())).relu()
        return self.mean + self.std * full_precision(self.head(hidden)).squeeze(-1)

    @torch.no_grad()
    def start(self, mean: Float[Tensor, ""], variance: Float[Tensor, ""]) -> None:
        """Set the averages to those of the first signals."""
        self.mean.copy_(mean)
        self.variance.copy_(variance)

    @torch.no_grad()
    def merge(self, mean: Float[Tensor, ""], variance: Float[Tensor, ""]) -> None:
        """Take mean and variance of an update's signals into the averages."""
        self.mean.lerp_(mean, 1 - DECAY)
        self.variance.lerp_(variance, 1 - DECAY)
