"""Observation normalization inside the policy, so that a saved model needs no second file.

Saved policies name this module, so its classes must stay here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.pairs import ROWS_AT_ONCE
from rlgen.nn.normalizer import Normalizer


class NormalisedObservations(BaseFeaturesExtractor):
    """A features extractor that normalizes flat observations [B, O] with statistics in the policy's state dict.

    The statistics are fixed while the policy learns, so old and new log-probabilities see the same inputs.
    """

    def __init__(self, observation_space: spaces.Box, clip: float = 10.0):
        super().__init__(observation_space, features_dim=spaces.flatdim(observation_space))
        self.normaliser = Normalizer(self.features_dim, clip)  # a key of saved policies

    def forward(self, observations: Tensor) -> Tensor:
        return self.normaliser(observations.flatten(1))


def normalized_policy(net_arch: list[int], log_std_init: float = -1.0, **optimizer: Any) -> dict[str, Any]:
    """`policy_kwargs` for SB3's on-policy algorithms: tanh networks of `net_arch` behind `NormalisedObservations`."""
    return {
        "net_arch": net_arch,
        "log_std_init": log_std_init,
        "ortho_init": False,
        "features_extractor_class": NormalisedObservations,
        "optimizer_kwargs": {"fused": True, "eps": 1e-5, **optimizer},
    }


NETWORKS = ("actor", "critic", "q_net", "quantile_net")
OWNERS = tuple(f"{name}{end}" for name in NETWORKS for end in ("", "_target"))
EXTRACTORS = ("features_extractor", "pi_features_extractor", "vf_features_extractor")


def features_extractors(policy: Any) -> list[Any]:
    """The features extractors of a policy, each once: one, or those of actor and critics that do not share them."""
    owners = [policy, *(getattr(policy, name, None) for name in OWNERS)]
    parts = [getattr(owner, name, None) for owner in owners for name in EXTRACTORS]
    return list({id(part): part for part in parts if part is not None}.values())


def policy_normalizers(policy: Any) -> list[Normalizer]:
    """The normalizers of flat observations inside the policy: one, or those of an actor and of critics that do not
    share features."""
    return [part.normaliser for part in features_extractors(policy) if isinstance(part, NormalisedObservations)]


def fit_normalizer(policy: torch.nn.Module, observations: Tensor) -> bool:
    """Merges demonstrated `observations` [B, ...] into the policy's normalizers, if it has any, so that none is
    clipped. Returns whether it has one."""
    fit_normalizers(policy, lambda: [observations])
    return bool(policy_normalizers(policy))


def merge_rollout(policy: Any, observations: Any) -> None:
    """Merges observations [T, N, ...] of the policy into its normalizers, with those of all training processes."""
    rows = tree.each_entry(lambda each: each.flatten(0, 1), observations)
    for normalizer in policy_normalizers(policy):
        normalizer.merge_rollout(rows.flatten(1).to(normalizer.mean.device))
    for extractor in (part for part in features_extractors(policy) if hasattr(part, "merge")):
        for start in range(0, tree.count(rows), ROWS_AT_ONCE):
            some = tree.each_entry(lambda each, at=start: each[at : at + ROWS_AT_ONCE].to(policy.device), rows)
            extractor.merge(preprocess_obs(some, policy.observation_space, policy.normalize_images))


def has_normalizer(policy: Any) -> bool:
    """Whether the policy normalizes its observations by statistics that can be merged."""
    return bool(policy_normalizers(policy)) or any(hasattr(part, "merge") for part in features_extractors(policy))


def fit_normalizers(policy: Any, batches: Callable[[], Iterable[Any]]) -> None:
    """Merges all batches of the policy's inputs into its normalizers, if it has any, so that none is clipped: those of
    flat observations, of images and of dictionaries (`rlgen.sb3.image_features`)."""
    for normalizer in policy_normalizers(policy):
        for change in (normalizer.merge, normalizer.cover):
            for rows in batches():
                change(rows.flatten(1).to(normalizer.mean.device))
    for extractor in (part for part in features_extractors(policy) if hasattr(part, "merge")):
        for change in (extractor.merge, extractor.cover):
            for rows in batches():
                change(preprocess_obs(rows, policy.observation_space, policy.normalize_images))
