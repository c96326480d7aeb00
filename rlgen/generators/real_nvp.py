"""Real NVP, a multi-scale flow of affine couplings (Dinh et al. 2017, 1605.08803)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen.checks import LEFT_OUT, at_least, positive
from rlgen.equations.variational_bounds import inverse_logit_transform, logit_transform
from rlgen.errors import problem
from rlgen.generators.flow_model import FlowModel
from rlgen.generators.image_model import ImageShape
from rlgen.nn.image_flows import MultiScaleFlow, ResidualNetwork, standardize_channels
from rlgen.nn.posterior import standard_normal_log_prob


@dataclass(frozen=True, kw_only=True)
class RealNVPConfig:
    """Configuration of `RealNVP`: Dinh et al. 2017 (1605.08803), section 4.1, for images of any size.

    Differs from the paper: narrower networks and twice the learning rate, because MNIST should take minutes on one
    core; no L2 penalty on weights, because the other models have none; and see `MultiScaleFlow`.
    """

    filters: int = 16
    """Channels of the residual networks at the finest scale, doubled at each coarser one; 32 in the released code."""
    blocks: int = 2
    """Residual blocks in the network of each coupling."""
    scales: int = 3
    """Largest number of scales. Each halves the image; images whose sides cannot be halved evenly have fewer."""
    margin: float = 0.05
    """Distance from 0 and 1 to which pixels are compressed before their logit (alpha in the paper)."""
    learning_rate: float = 2e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "filters", "blocks", "scales")
        positive(self, "learning_rate")
        if not 0 < self.margin < 0.5:
            raise problem("a margin between 0 and 0.5", str(self.margin), LEFT_OUT)


class RealNVP(FlowModel):
    """Logits of pixels, then affine couplings with checkerboard and channel masks at several scales, whose networks are
    residual convolutions with weight normalization; a standard normal prior."""

    config_type = RealNVPConfig
    config: RealNVPConfig

    def __init__(self, shape: ImageShape, config: RealNVPConfig | None = None):
        super().__init__(shape, config or RealNVPConfig())
        filters, blocks = self.config.filters, self.config.blocks
        self.flow = MultiScaleFlow(
            *shape.chw,
            self.config.scales,
            lambda fan_in, fan_out, scale: ResidualNetwork(fan_in, fan_out, filters * 2**scale, blocks),
        )

    def before_first_update(self, images: Tensor) -> None:
        """Standardize the channels before every coupling."""
        standardize_channels(self.flow, logit_transform(self.dequantized(images), self.config.margin)[0])

    def to_latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen, log_slope = logit_transform(x, self.config.margin)
        latents, log_det = self.flow(seen)
        return latents, log_det + log_slope

    def to_pixels(self, latents: Tensor) -> Tensor:
        return inverse_logit_transform(self.flow.inverse(latents)[0], self.config.margin)

    def prior(self, n: int) -> Tensor:
        """Standard normal latents [n, Z]."""
        return torch.randn(n, self.shape.numbers, device=next(self.parameters()).device)

    def prior_log_prob(self, latents: Tensor) -> Tensor:
        return standard_normal_log_prob(latents)
