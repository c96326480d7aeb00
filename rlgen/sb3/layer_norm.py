"""Policies of off-policy learners whose critics have layer normalization.

Saved policies name this module, so its classes must stay here.
"""

from typing import Any

from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn


class LayerNormCritics:
    """Critics with layer normalization (Ba et al. 2016, 1607.06450) after every hidden linear layer: wherever the
    action leads, a value is at most |w| √width + |b|, w and b those of its last layer, so that actions unlike those of
    the data do not have high values by extrapolation. Ball et al. 2023 (RLPD, 2302.02948), section 4.2."""

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> Any:
        critic: Any = super().make_critic(features_extractor)  # type: ignore[misc]
        for number, network in enumerate(critic.q_networks):
            critic.q_networks[number] = normalized = with_layer_norm(network).to(critic.device)
            setattr(critic, f"qf{number}", normalized)
        return critic


def with_layer_norm(network: nn.Sequential) -> nn.Sequential:
    """The layers of `network` with layer normalization after each linear one but the last."""
    layers: list[nn.Module] = []
    for layer in network:
        layers += [layer, nn.LayerNorm(layer.out_features)] if isinstance(layer, nn.Linear) else [layer]
    return nn.Sequential(*layers[:-1])


class LayerNormSACPolicy(LayerNormCritics, SACPolicy):
    """SAC's policy with layer normalization in the critics: `SAC(LayerNormSACPolicy, env)`."""


class LayerNormTD3Policy(LayerNormCritics, TD3Policy):
    """TD3's policy with layer normalization in the critics: `TD3(LayerNormTD3Policy, env)`."""
