"""PixelCNN (van den Oord et al. 2016, 1601.06759) and Gated PixelCNN (van den Oord et al. 2016, 1606.05328)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from rlgen.checks import one_of
from rlgen.generators.autoregressive import AutoregressiveConfig, AutoregressiveModel
from rlgen.generators.image_model import ImageShape
from rlgen.nn.pixel_networks import GatedPixelNetwork, MaskedBlock, PixelSizes, ResidualPixelNetwork


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(AutoregressiveConfig):
    """Configuration of `PixelCNN`: gated layers, of a size that learns MNIST in an hour of one core."""

    layers: Literal["gated", "masked"] = "gated"
    """Layers: gated, with a vertical and a horizontal stack, which see all earlier pixels (1606.05328); or masked
    residual blocks, which see fewer to the upper right (1601.06759)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "layers", ("gated", "masked"))


class PixelCNN(AutoregressiveModel):
    """Convolutions over the pixels before the predicted one; all pixels are learned at once."""

    config_type = PixelCNNConfig
    config: PixelCNNConfig

    def __init__(self, shape: ImageShape, config: PixelCNNConfig | None = None):
        config = config or PixelCNNConfig()

        def network(sizes: PixelSizes) -> nn.Module:
            if config.layers == "gated":
                return GatedPixelNetwork(sizes, config.depth, config.kernel)
            return ResidualPixelNetwork(sizes, config.depth, partial(MaskedBlock, size=config.kernel))

        super().__init__(shape, config, network)
