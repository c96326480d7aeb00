"""Penalties as list elements: each changes the discriminator it is given, or its loss, or both."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from rlgen.equations import penalties as equations
from rlgen.equations.penalties import Critic


@runtime_checkable
class Penalty(Protocol):
    """What may be added to a discriminator."""

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network to train instead of `network` (or the same one)."""
        ...

    def loss(
        self, critic: Critic, expert: Tensor, policy: Tensor, expert_logit: Tensor, policy_logit: Tensor
    ) -> Tensor:
        """A scalar added to the discriminator's loss. Inputs [B, D], logits [B]."""
        ...


@dataclass(frozen=True, kw_only=True)
class GradientPenalty:
    """Gradient norm towards `centre` between expert and policy rows (`equations.gradient_penalty`)."""

    weight: float = 1.0
    centre: float = 1.0

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(
        self, critic: Critic, expert: Tensor, policy: Tensor, expert_logit: Tensor, policy_logit: Tensor
    ) -> Tensor:
        return self.weight * equations.gradient_penalty(critic, expert, policy, self.centre)


@dataclass(frozen=True, kw_only=True)
class R1:
    """Gradient norm towards zero at expert rows (`equations.r1`)."""

    weight: float = 1.0

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(
        self, critic: Critic, expert: Tensor, policy: Tensor, expert_logit: Tensor, policy_logit: Tensor
    ) -> Tensor:
        return self.weight * equations.r1(critic, expert)


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """Rewards an unsure discriminator by the entropy of D on either side (Ho & Ermon's released code: weight 1e-3)."""

    weight: float = 1e-3

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(
        self, critic: Critic, expert: Tensor, policy: Tensor, expert_logit: Tensor, policy_logit: Tensor
    ) -> Tensor:
        entropy = equations.bernoulli_entropy(expert_logit).mean() + equations.bernoulli_entropy(policy_logit).mean()
        return -self.weight * entropy


@dataclass(frozen=True, kw_only=True)
class SpectralNorm:
    """Every linear layer divided by its largest singular value. Miyato et al. 2018 (1802.05957), Alg. 1."""

    def wrap(self, network: nn.Module) -> nn.Module:
        for module in network.modules():
            if isinstance(module, nn.Linear):
                parametrizations.spectral_norm(module)
        return network

    def loss(
        self, critic: Critic, expert: Tensor, policy: Tensor, expert_logit: Tensor, policy_logit: Tensor
    ) -> Tensor:
        return expert_logit.new_zeros(())
