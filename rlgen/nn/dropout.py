"""Dropout in a discriminator: of its inputs, or of its hidden units."""

from dataclasses import dataclass

from torch import Tensor, nn

from rlgen.equations.penalties import Critic
from rlgen.errors import problem
from rlgen.nn.layers import activations


@dataclass(frozen=True, kw_only=True)
class InputDropout:
    """Each gradient step drops this share of the discriminator's inputs; rewards see all of them. Srivastava et al.
    2014; for imitation Orsini et al. 2021 (2106.00672)."""

    share: float

    def wrap(self, network: nn.Module) -> nn.Module:
        layers = network if isinstance(network, nn.Sequential) else [network]
        return nn.Sequential(nn.Dropout(self.share), *layers)

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return real_logit.new_zeros(())


@dataclass(frozen=True, kw_only=True)
class HiddenDropout:
    """Each gradient step drops this share of the units after every activation (Tanh, ReLU …) of the discriminator;
    rewards use all of them. Srivastava et al. 2014; for imitation Orsini et al. 2021 (2106.00672)."""

    share: float

    def wrap(self, network: nn.Module) -> nn.Module:
        """Changes `network` in place; the names of its parameters stay."""
        if not (found := activations(network)):
            expected = "a discriminator with hidden layers and activations of torch, whose units dropout can drop"
            raise problem(expected, f"{network}", "leave hidden_dropout out")
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if any(child is each for each in found):
                    setattr(parent, name, nn.Sequential(child, nn.Dropout(self.share)))
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return real_logit.new_zeros(())
