"""PixelRNN (van den Oord et al. 2016, 1601.06759): LSTMs over the rows or the diagonals of an image."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from rlgen.checks import one_of
from rlgen.generators.autoregressive import AutoregressiveConfig, AutoregressiveModel
from rlgen.generators.image_model import ImageShape
from rlgen.idle import setting
from rlgen.nn.pixel_lstm import DiagonalBiLSTM, RowLSTM
from rlgen.nn.pixel_networks import LSTMBlock, PixelSizes, ResidualPixelNetwork


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(AutoregressiveConfig):
    """Configuration of `PixelRNN`: the smaller Diagonal BiLSTM of the paper's table 4 (MNIST)."""

    lstm: Literal["diagonal_bilstm", "row"] = "diagonal_bilstm"
    """LSTM: from the upper corners along the diagonals, which sees the earlier pixels; or from row to row, faster,
    which sees a triangle above the pixel."""
    depth: int = 1
    """Number of LSTM layers: 1 of width 32 and 7 of width 16 in table 4."""
    kernel: int = setting(3, "lstm", "row")
    """Width of the kernel with which an LSTM from row to row sees its own row, in pixels, an odd number; the first
    layer's kernel is 7 × 7."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "lstm", ("diagonal_bilstm", "row"))


class PixelRNN(AutoregressiveModel):
    """LSTMs over the pixels before the predicted one; each row or diagonal is learned at once."""

    config_type = PixelRNNConfig
    config: PixelRNNConfig

    def __init__(self, shape: ImageShape, config: PixelRNNConfig | None = None):
        config = config or PixelRNNConfig()
        lstm = DiagonalBiLSTM if config.lstm == "diagonal_bilstm" else partial(RowLSTM, size=config.kernel)

        def network(sizes: PixelSizes) -> nn.Module:
            return ResidualPixelNetwork(sizes, config.depth, partial(LSTMBlock, lstm=lstm))

        super().__init__(shape, config, network)
