"""Features of images and dictionaries of observations, normalized inside the policy.

Saved policies name this module, so its classes must stay here.
"""

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor, NatureCNN
from torch import Tensor, nn

from rlgen.data.spaces import is_codes
from rlgen.nn.normalizer import Normalizer
from rlgen.nn.one_hot import OneHot
from rlgen.sb3.encoded_images import EncodedImages
from rlgen.sb3.features import NormalisedObservations
from rlgen.sb3.instructed import shows_instructions
from rlgen.sb3.instruction_extractor import InstructionFeatures

WIDTH = 256
"""Features of an image."""
LEAST_OF_NATURE = 36
"""Pixels of each side from which the convolutions of Mnih et al. 2015 fit an image."""
LEAST_OF_SMALL = 4


class ImageFeatures(BaseFeaturesExtractor):
    """Features [B, 256] of images [B, C, H, W], normalized by channel with statistics in the policy's state dict.

    The network of Mnih et al. 2015 ("Nature CNN"), or, for images below 36 pixels, three convolutions of 2 x 2, as for
    MiniGrid's views of 7 x 7 cells; only a linear layer below 4 pixels.
    """

    def __init__(self, observation_space: spaces.Box):
        super().__init__(observation_space, WIDTH)
        channels, *sides = observation_space.shape
        self.normaliser = Normalizer(channels)  # a key of saved policies, as in NormalisedObservations
        if min(sides) >= LEAST_OF_NATURE:
            self.network: nn.Module = NatureCNN(observation_space, WIDTH)
        else:
            self.network = small_network(observation_space.shape)

    def merge(self, images: Tensor) -> None:
        """Merges images into the statistics."""
        self.normaliser.merge(_pixels(images))

    def cover(self, images: Tensor) -> None:
        """Widens the statistics so that no channel of these images is clipped."""
        self.normaliser.cover(_pixels(images))

    def forward(self, observations: Tensor) -> Tensor:
        return self.network(self.normaliser(observations.movedim(1, -1)).movedim(-1, 1))


def _pixels(images: Tensor) -> Tensor:
    """[B · H · W, C]."""
    return images.movedim(1, -1).flatten(0, -2)


def small_network(shape: tuple[int, ...]) -> nn.Module:
    """The network of `ImageFeatures` for small images of `shape` [C, H, W]."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    if min(height, width) >= LEAST_OF_SMALL:
        for features in (16, 32, 64):
            layers += [nn.Conv2d(channels, features, 2), nn.ReLU()]
            channels, height, width = features, height - 1, width - 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, WIDTH), nn.ReLU())


class DictFeatures(BaseFeaturesExtractor):
    """Features of a dictionary of observations, side by side: `ImageFeatures` of images, codes one-hot,
    `NormalisedObservations` of other Boxes, and discrete entries as they are (SB3 encodes them one-hot). With
    `encoder`, settings of `EncodedImages`, images have those features instead."""

    def __init__(self, observation_space: spaces.Dict, encoder: Mapping[str, Any] | None = None):
        super().__init__(observation_space, features_dim=1)
        parts: dict[str, nn.Module] = {}
        width = 0
        for name, space in observation_space.spaces.items():
            parts[name] = _part(space, encoder)
            width += getattr(parts[name], "features_dim", 0) or get_flattened_obs_dim(space)
        self.parts = nn.ModuleDict(parts)
        self._features_dim = width

    def merge(self, observations: dict[str, Tensor]) -> None:
        """Merges observations into the statistics of their entries."""
        for name, part in self.parts.items():
            if isinstance(part, ImageFeatures):
                part.merge(observations[name])
            elif isinstance(part, NormalisedObservations):
                part.normaliser.merge(observations[name].flatten(1))

    def cover(self, observations: dict[str, Tensor]) -> None:
        """Widens the statistics so that none of these observations is clipped."""
        for name, part in self.parts.items():
            if isinstance(part, ImageFeatures):
                part.cover(observations[name])
            elif isinstance(part, NormalisedObservations):
                part.normaliser.cover(observations[name].flatten(1))

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        return torch.cat([part(observations[name]) for name, part in self.parts.items()], dim=1)


class OneHotCodes(nn.Module):
    """Codes (`rlgen.data.spaces.is_codes`) [B, ...] one-hot, [B, features_dim]."""

    def __init__(self, space: spaces.Box):
        super().__init__()
        self.encoding = OneHot(tuple((space.high.ravel().astype(int) + 1).tolist()))
        self.features_dim = self.encoding.size

    def forward(self, codes: Tensor) -> Tensor:
        return self.encoding(codes)


def _part(space: spaces.Space, encoder: Mapping[str, Any] | None) -> nn.Module:
    if is_codes(space):
        return OneHotCodes(space)  # type: ignore[arg-type]
    if is_image_space(space) and encoder is not None:
        return EncodedImages(space, **encoder)  # type: ignore[arg-type]
    if is_image_space(space):
        return ImageFeatures(space)  # type: ignore[arg-type]
    return NormalisedObservations(space) if isinstance(space, spaces.Box) else nn.Flatten()


def extractor_for(space: spaces.Space) -> type[Any]:
    """The features extractor of rlgen's learners for observations of `space`."""
    if shows_instructions(space):
        return InstructionFeatures
    if isinstance(space, spaces.Dict):
        return DictFeatures
    if is_image_space(space):
        return ImageFeatures
    return NormalisedObservations if isinstance(space, spaces.Box) else FlattenExtractor  # SB3 encodes them one-hot


def encoding_extractor(space: spaces.Space, encoder: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """The features extractor for observations of `space` with `EncodedImages` of these settings, or, for observations
    with an instruction, `InstructionFeatures` of these, and its arguments."""
    if shows_instructions(space):
        return InstructionFeatures, dict(encoder)
    if isinstance(space, spaces.Dict):
        return DictFeatures, {"encoder": dict(encoder)}
    return EncodedImages, dict(encoder)


def policy_name(observed: spaces.Space) -> str:
    """SB3's name of the policy for observations of this space."""
    if isinstance(observed, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(observed) else "MlpPolicy"
