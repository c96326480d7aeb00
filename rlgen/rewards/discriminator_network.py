"""The network of a discriminator of transitions: a perceptron, denoisers or flows; before a perceptron an encoder of
images."""

from collections.abc import Sequence

from torch import nn

from rlgen.errors import problem
from rlgen.nn.diffusion_discriminator import ConditionalDiffusionDiscriminator, DiffusionDiscriminator
from rlgen.nn.flow_discriminator import CoupledFlowsDiscriminator
from rlgen.nn.image_columns import ImageColumns
from rlgen.nn.layers import mlp
from rlgen.rewards.observation_rows import ObservationRows

GENERATIVE: dict[str, type[DiffusionDiscriminator | CoupledFlowsDiscriminator]] = {
    "diffusion": DiffusionDiscriminator,
    "conditional_diffusion": ConditionalDiffusionDiscriminator,
    "coupled_flows": CoupledFlowsDiscriminator,
}
"""Generative models of rows, used as discriminators."""
NETWORKS = ("perceptron", *GENERATIVE)


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

    Raises `InputError` for a generative model of images: it would model what the encoder is free to change.
    """
    if not observations.images:
        if name in GENERATIVE:
            return GENERATIVE[name](size, hidden, activation)
        return mlp([size, *hidden, 1], activation)
    if name in GENERATIVE:
        raise problem(f"observations of vectors for a {name} discriminator", "images", "use the network perceptron")
    images = [(shape, [first + start for start in places]) for shape, first in observations.images]
    columns = ImageColumns(size, images, filters)
    return nn.Sequential(columns, *mlp([columns.size, *hidden, 1], activation))
