"""Penalties as list elements: each changes the discriminator it is given, or its loss, or both.

What a penalty remembers it puts into the network that `wrap` returns, so that the network's state dict holds it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, parametrizations

from rlgen.checks import at_least, positive
from rlgen.deprecation import renamed_fields
from rlgen.equations import penalties as equations
from rlgen.equations.penalties import Critic, historical_average_distance
from rlgen.errors import problem
from rlgen.nn.bottleneck import Bottleneck
from rlgen.nn.quantizer import Quantize

WEIGHTED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers that a spectral norm divides."""


@runtime_checkable
class Penalty(Protocol):
    """What may be added to a discriminator. One whose loss takes gradients of gradients says so by an attribute
    `second_gradients`, because torch.compile cannot."""

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network to train instead of `network` (or the same one)."""
        ...

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        """A scalar added to the discriminator's loss, called once per gradient step. Real (expert) and fake (policy)
        inputs [B, ...], their logits [B]."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """A penalty that has something to log."""

    def report(self) -> dict[str, Tensor]:
        """0-d tensors by name, of the last step or of the last few. Asking changes nothing."""
        ...


@renamed_fields(centre="center")
@dataclass(frozen=True, kw_only=True)
class GradientPenalty:
    """Gradient norm towards `center` between real and fake rows (`equations.gradient_penalty`)."""

    weight: float = 1.0
    center: float = 1.0
    second_gradients: ClassVar[bool] = True

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return self.weight * equations.gradient_penalty(critic, real, fake, self.center)


@dataclass(frozen=True, kw_only=True)
class R1:
    """Gradient norm towards zero at real rows (`equations.r1`)."""

    weight: float = 1.0
    second_gradients: ClassVar[bool] = True

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return self.weight * equations.r1(critic, real)


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """Rewards an unsure discriminator by the entropy of D on either side (Ho & Ermon's released code: weight 1e-3)."""

    weight: float = 1e-3

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        entropy = equations.bernoulli_entropy(real_logit).mean() + equations.bernoulli_entropy(fake_logit).mean()
        return -self.weight * entropy


@dataclass(frozen=True, kw_only=True)
class SpectralNorm:
    """Every linear and convolutional layer divided by its largest singular value. Miyato et al. 2018 (1802.05957),
    Alg. 1. That of a convolution is of its kernel as a matrix with a row per output channel, as in the paper."""

    def wrap(self, network: nn.Module) -> nn.Module:
        for module in network.modules():
            if isinstance(module, WEIGHTED):
                parametrizations.spectral_norm(module)
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return real_logit.new_zeros(())


class Remembering(nn.Module):
    """`network` with the mean of its past parameters, including the initial ones, in its state dict."""

    mean: Tensor
    count: Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        start = self.parameters_now().detach().clone()
        self.register_buffer("mean", start)
        self.register_buffer("count", torch.ones((), dtype=start.dtype, device=start.device))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def parameters_now(self) -> Tensor:
        """The current parameters as a vector [P], differentiable."""
        return parameters_to_vector(self.network.parameters())

    def distance(self) -> Tensor:
        """Squared distance of the parameters from the mean of their past values: a scalar."""
        return historical_average_distance(self.parameters_now(), self.mean)

    @torch.no_grad()
    def remember(self) -> None:
        """Include the current parameters in the mean."""
        self.count.add_(1)
        self.mean.add_((self.parameters_now() - self.mean) / self.count)


@dataclass(kw_only=True, eq=False)
class HistoricalAverage:
    """Historical averaging as a penalty. Salimans et al. 2016 (1606.03498), section 3.3. Use one object per network.

    For a generator use `Remembering` itself. It wraps the complete network, so put it last in a list of penalties.
    """

    weight: float = 1.0
    _network: Remembering | None = field(default=None, init=False, repr=False)

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._network is not None:
            raise problem("a separate HistoricalAverage for every network", "one in use", "make another")
        self._network = Remembering(network)
        return self._network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._network is not None, "wrap comes first"
        distance = self._network.distance()
        self._network.remember()
        return self.weight * distance


@renamed_fields(gradient_centre="gradient_center")
@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Penalties of a discriminator, of images or of transitions; none by default."""

    gradient: float = 0.0
    """Weight of the gradient penalty between real and fake rows (Gulrajani et al. 2017, 1704.00028: 10); 0 for none."""
    gradient_center: float = 1.0
    """Gradient norm that the gradient penalty pulls towards: 1 (Gulrajani et al. 2017) or 0."""
    r1: float = 0.0
    """Weight of the R1 penalty at real rows (Mescheder et al. 2018, 1801.04406: 10); 0 for none."""
    entropy: float = 0.0
    """Weight of the entropy of D (1e-3 in the released code of GAIL); 0 for none."""
    spectral_norm: bool = False
    """Division of the discriminator's layers by their largest singular value (Miyato et al. 2018, 1802.05957)."""
    bottleneck: float = 0.0
    """Nats about its inputs that the discriminator may keep, on average (VAIL, Peng et al. 2019, 1810.00821: 0.5); 0
    for no bottleneck."""
    bottleneck_step: float = 1e-3
    """Step size of the dual ascent on the bottleneck's weight, per nat above the limit and gradient step. VAIL uses
    1e-5 and many times as many gradient steps; with 1e-5 a training of a million environment steps would hardly close
    the bottleneck."""
    quantize: int = 0
    """Size of the codebook that the inputs of the discriminator's last layer are rounded to (FQ-GAN, Zhao et al. 2020,
    2004.02088), e.g. 64; 0 for no rounding."""
    historical_average: float = 0.0
    """Weight of the distance of the discriminator's parameters from the mean of their past (Salimans et al. 2016,
    1606.03498); 0 for none."""

    def __post_init__(self) -> None:
        weights = ("gradient", "gradient_center", "r1", "entropy", "bottleneck", "historical_average")
        at_least(self, 0, *weights, remedy="use 0 for none")
        positive(self, "bottleneck_step")
        if self.quantize < 0 or self.quantize == 1:
            raise problem("quantize of 2 codes or more, or 0", str(self.quantize), "use e.g. 64, or 0 for none")

    def chosen(self) -> list[Penalty]:
        """New penalties for all weights above zero. Those that change layers come before those that divide or wrap
        them."""
        penalties: list[tuple[float, Callable[[], Penalty]]] = [
            (self.quantize, lambda: Quantize(codes=self.quantize)),
            (self.bottleneck, lambda: Bottleneck(limit=self.bottleneck, step_size=self.bottleneck_step)),
            (self.spectral_norm, SpectralNorm),
            (self.historical_average, lambda: HistoricalAverage(weight=self.historical_average)),
            (self.gradient, lambda: GradientPenalty(weight=self.gradient, center=self.gradient_center)),
            (self.r1, lambda: R1(weight=self.r1)),
            (self.entropy, lambda: Entropy(weight=self.entropy)),
        ]
        return [make() for weight, make in penalties if weight]

    def refuse_for_batch_norm(self, remedy: str) -> None:
        """Raise `InputError` for penalties that a discriminator with batch norm cannot have."""
        needed, names = "whose rows do not influence one another", ("gradient", "r1", "bottleneck", "quantize")
        self._refuse(needed, "one with batch norm", remedy, *names)

    def refuse_for_condition(self) -> None:
        """Raise `InputError` for penalties that a discriminator with a condition in addition to the image cannot
        have."""
        remedy = "leave these out, or choose a model without labels"
        self._refuse("that sees images alone", "one with a condition", remedy, "bottleneck", "quantize")

    def _refuse(self, needed: str, got: str, remedy: str, *names: str) -> None:
        found = [name for name in names if getattr(self, name)]
        if found:
            raise problem(f"for the penalty {' and '.join(found)} a discriminator {needed}", got, remedy)
