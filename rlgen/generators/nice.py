"""NICE, a flow of additive couplings (Dinh et al. 2015, 1410.8516)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlgen.checks import LEFT_OUT, at_least, positive, widths
from rlgen.equations.flows import logistic_log_prob
from rlgen.errors import problem
from rlgen.generators.flow_model import FlowModel
from rlgen.generators.image_model import ImageShape
from rlgen.generators.pixels import LEAST_LOG_STD
from rlgen.nn.flows import AdditiveCoupling, BetweenParts, DiagonalScale, Flow, alternating_mask
from rlgen.nn.layers import mlp

LOGISTIC_STD = math.pi / math.sqrt(3)
"""Standard deviation of the prior."""


@dataclass(frozen=True, kw_only=True)
class NICEConfig:
    """Configuration of `NICE`: Dinh et al. 2015 (1410.8516), section 5.1.

    Differs from the paper: the scale is initialized with data and learns ten times as fast (`DiagonalScale`), and the
    couplings change little at first, because pixels that are always black need scales of more than a thousand, which
    would take thousands of steps from 1.
    """

    couplings: int = 4
    """Number of additive couplings, 3 or more, so that every pixel depends on all others."""
    hidden: tuple[int, ...] = (500, 500, 500)
    """Widths of the hidden layers in each coupling; the paper has five layers of 1,000 for MNIST."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 3, "couplings")
        widths(self, "hidden")
        if not self.hidden:
            raise problem("one hidden layer or more", f"hidden {self.hidden}", LEFT_OUT)
        positive(self, "learning_rate")


class NICE(FlowModel):
    """Additive couplings of perceptrons with ReLU, which change every second pixel in turns, then a learned scale for
    each dimension; a standard logistic prior."""

    config_type = NICEConfig
    config: NICEConfig

    def __init__(self, shape: ImageShape, config: NICEConfig | None = None):
        super().__init__(shape, config or NICEConfig())
        size = shape.numbers
        if size < 2:
            raise problem("images of at least 2 numbers, because couplings divide them", str(shape), "use larger ones")
        self.couplings = Flow(self._coupling(size, number) for number in range(self.config.couplings))
        self.scale = DiagonalScale(size)

    def _coupling(self, size: int, number: int) -> AdditiveCoupling:
        """A coupling that changes little at first."""
        mask = alternating_mask(size, first=number % 2 == 0)
        known = int(mask.sum())
        network = mlp([known, *self.config.hidden, size - known], nn.ReLU)
        with torch.no_grad():
            for parameter in network[-1].parameters():
                parameter.mul_(0.01)
        return AdditiveCoupling(mask, BetweenParts(mask, network))

    @torch.no_grad()
    def before_first_update(self, images: Tensor) -> None:
        """Give every latent the standard deviation of the prior."""
        self.scale.standardize(self._coupled(self.dequantized(images)), LOGISTIC_STD, math.exp(LEAST_LOG_STD))

    def _coupled(self, x: Tensor) -> Tensor:
        """Rows after all couplings, whose log-determinant is 0."""
        return self.couplings.moved(x.flatten(1), x.new_zeros(len(x)))[0]

    def to_latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale(self._coupled(x))

    def to_pixels(self, latents: Tensor) -> Tensor:
        return self.couplings.origin(self.scale.inverse(latents)[0])[0].unflatten(1, self.shape.chw)

    def prior(self, n: int) -> Tensor:
        """Standard logistic latents [n, Z]. Two of them are nearly orthogonal, so that spherical interpolation keeps
        their variance."""
        uniform = torch.rand(n, self.shape.numbers, device=next(self.parameters()).device)
        return torch.logit(uniform, eps=1e-7)

    def prior_log_prob(self, latents: Tensor) -> Tensor:
        return logistic_log_prob(latents).sum(-1)
