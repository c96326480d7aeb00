"""The network of a discriminator of transitions: a perceptron, or a denoiser; before it an encoder of images."""

from collections.abc import Sequence

from torch import nn

from rlgen.errors import problem
from rlgen.nn.diffusion_discriminator import ConditionalDiffusionDiscriminator, DiffusionDiscriminator
from rlgen.nn.image_columns import ImageColumns
from rlgen.nn.layers import mlp
from rlgen.rewards.observation_rows import ObservationRows

DENOISERS: dict[str, type[DiffusionDiscriminator]] = {
    "diffusion": DiffusionDiscriminator,
    "conditional_diffusion": ConditionalDiffusionDiscriminator,
}
NETWORKS = ("perceptron", *DENOISERS)


def discriminator_network(
    name: str,
    size: int,
    observations: ObservationRows,
    places: Sequence[int],
    hidden: Sequence[int],
    activation: type[nn.Module],
    filters: int,
) -> nn.Module:
    """A network of the kind `name` in `NETWORKS` from inputs [B, `size`] to logits [B, 1]. `places`: where observations
    begin in an input. Images are read by a convolutional encoder with `filters` first channels.

    Raises `InputError` for a denoiser of images: the noise would be added to what the encoder is free to change.
    """
    if not observations.images:
        if name in DENOISERS:
            return DENOISERS[name](size, hidden, activation)
        return mlp([size, *hidden, 1], activation)
    if name in DENOISERS:
        raise problem(f"observations of vectors for a {name} discriminator", "images", "use the network perceptron")
    images = [(shape, [first + start for start in places]) for shape, first in observations.images]
    columns = ImageColumns(size, images, filters)
    return nn.Sequential(columns, *mlp([columns.size, *hidden, 1], activation))
