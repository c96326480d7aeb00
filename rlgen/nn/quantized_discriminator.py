"""A discriminator whose features are quantized after some of its blocks (Zhao et al. 2020, FQ-GAN, 2004.02088)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one
from rlgen.display import LEVEL, Metric, Panel
from rlgen.errors import problem
from rlgen.idle import setting
from rlgen.nn.layers import full_precision
from rlgen.nn.quantizer import Quantized, VectorQuantizer


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """Quantization of a discriminator's features: Zhao et al. 2020 (2004.02088), released code for CIFAR-10.

    Differs from the released code:

    - Codes learn from real images and fakes of a discriminator's step together, and not in the generator's step,
      because only the discriminator's player changes the discriminator.
    - Unused codes restart at features, because codes far from all features are never used. There they move towards
      zero.
    """

    codes: int = 64
    """Number of codes of each codebook; 0 for the same networks without quantization."""
    layers: tuple[int, ...] = setting((), "codes")
    """Blocks of the discriminator, counted from 1, after which features are quantized; empty: after all."""
    commitment: float = setting(1.0, "codes")
    """Weight of the mean squared difference of features and codes in the losses of all players."""
    decay: float = setting(0.9, "codes")
    """Decay of the codes' running means per step of the discriminator, 0 to below 1."""
    restart_below: float = setting(0.1, "codes")
    """Assigned features per batch, on a running mean, below which a code is reset to a random feature; 0 for never."""

    def __post_init__(self) -> None:
        if self.codes == 1:
            raise problem("codes of 2 or more, or 0", "1", "use e.g. 64, or 0 for no quantization")
        at_least(self, 0, "codes", "commitment", "restart_below")
        below_one(self, "decay")


class Parts(NamedTuple):
    """A discriminator in parts."""

    blocks: Sequence[nn.Module]
    """Modules applied one after another, from images [B, C, H, W] in [0, 1] to features [B, D, h, w]."""
    channels: Sequence[int]
    """Channels D of the features after each block."""
    head: nn.Module
    """Module from the last features, and a condition if there is one, to logits [B, ...]."""


class Found(NamedTuple):
    """What a discriminator finds in images."""

    logit: Tensor
    """Logits [B, ...]."""
    features: list[Tensor]
    """Features [B, D, h, w] before each quantization."""
    quantized: list[Quantized]
    """Their codes, which the following block receives."""

    @property
    def commitment(self) -> Tensor:
        """Sum of the commitment losses, a scalar; 0 without quantization."""
        return sum((each.commitment for each in self.quantized), self.logit.new_zeros(()))


class QuantizedDiscriminator(nn.Module):
    """`parts` with a vector quantizer after the blocks that the configuration names.

    Codebooks are buffers, so they are in the state dict. A forward pass changes none of them; only `learn` does.
    """

    def __init__(self, parts: Parts, config: QuantizationConfig):
        super().__init__()
        numbers = range(1, len(parts.blocks) + 1)
        layers = sorted(set(config.layers)) or list(numbers)
        if not set(layers) <= set(numbers):
            expected = f"layers from 1 to {len(numbers)}, the blocks of the discriminator"
            raise problem(expected, f"{config.layers}", "leave layers out for all")
        self.blocks, self.head = nn.ModuleList(parts.blocks), parts.head
        made = {
            str(layer): VectorQuantizer(parts.channels[layer - 1], config.codes, config.decay, config.restart_below)
            for layer in (layers if config.codes else ())
        }
        self.quantizers = nn.ModuleDict(made)

    @property
    def codebooks(self) -> dict[str, VectorQuantizer]:
        """The quantizers by the numbers of their blocks."""
        return dict(self.quantizers.items())  # type: ignore[arg-type]

    def forward(self, images: Tensor, *condition: Tensor) -> Found:
        """Logits, features and codes of images [B, C, H, W], given the condition [B, ...] of the head."""
        last, features, quantized = self.body(images)
        return Found(full_precision(self.head(last, *condition)), features, quantized)

    def body(self, images: Tensor) -> tuple[Tensor, list[Tensor], list[Quantized]]:
        """The inputs [B, D, h, w] of the head, and features and codes as in `Found`."""
        hidden, codebooks = images, self.codebooks
        features: list[Tensor] = []
        quantized: list[Quantized] = []
        for number, block in enumerate(self.blocks, 1):
            hidden = block(hidden)
            if str(number) in codebooks:
                features.append(hidden)
                quantized.append(codebooks[str(number)].quantize(hidden))
                hidden = quantized[-1].values
        return hidden, features, quantized

    def learn(self, *found: Found) -> None:
        """Move the codes towards the features of all `found` together."""
        for index, quantizer in enumerate(self.codebooks.values()):
            features = torch.cat([each.features[index].detach() for each in found])
            quantizer.learn(features, torch.cat([each.quantized[index].codes for each in found]))

    def report(self) -> dict[str, Tensor]:
        """Usage and perplexity of every codebook, named by the number of its block."""
        return {
            f"{name}_{number}": value
            for number, quantizer in self.codebooks.items()
            for name, value in quantizer.report().items()
        }


def codebook_panels(discriminator: str) -> tuple[Panel, ...]:
    """Panels of what the codebooks of the player `discriminator` report."""
    usage, perplexity = f"{discriminator}/codebook_usage_{LEVEL}", f"{discriminator}/codebook_perplexity_{LEVEL}"
    return (
        Panel("Share of codes in use", (Metric(usage, "share"),), limits=(0, 1)),
        Panel("Perplexity of the codes", (Metric(perplexity, "perplexity"),), limits=(1, None)),
    )
