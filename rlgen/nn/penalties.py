"""Penalties as list elements: each changes the discriminator it is given, or its loss, or both.

What a penalty remembers it puts into the network that `wrap` returns, so that the network's state dict holds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, parametrizations

from rlgen.checks import at_least, below_one, positive
from rlgen.deprecation import UNLESS_DEFAULT, renamed_fields
from rlgen.display import Panel
from rlgen.equations import penalties as equations
from rlgen.equations.divergences import Divergence, logistic_discriminator_loss
from rlgen.equations.penalties import Critic, historical_average_distance
from rlgen.errors import problem
from rlgen.idle import setting
from rlgen.nn.attacks import FGSM
from rlgen.nn.bottleneck import Bottleneck
from rlgen.nn.dropout import HiddenDropout, InputDropout
from rlgen.nn.proximal import Proximal
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
    """A penalty that has something to log. Its attribute `panels`, if it has one, says how reports draw it."""

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
class AttackedRows:
    """The logistic loss of rows that FGSM has moved against the discriminator, real ones towards fake and fake ones
    towards real. Its sum with the logistic loss of the rows themselves is twice the objective of Goodfellow et al. 2015
    (1412.6572), section 6, with α = 0.5."""

    epsilon: float = 0.1
    second_gradients: ClassVar[bool] = True

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        attack = FGSM(epsilon=self.epsilon)
        real, fake = attack(lambda rows: -critic(rows), real), attack(critic, fake)
        return logistic_discriminator_loss(critic(real), critic(fake))


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


def penalty_field(
    kind: type[Penalty], default: Any = 0.0, recorded: Mapping[str, str] = MappingProxyType({}), /, **arguments: str
) -> Any:
    """A field of `PenaltyConfig` that adds a penalty of the class `kind`, except where it is 0 or False. `arguments`:
    names of the fields whose values the class takes, by the names of its own. `recorded`: when configurations record
    it (`rlgen.deprecation`), by default always."""
    return field(default=default, metadata={"penalty": kind, "arguments": arguments, **recorded})


@renamed_fields(gradient_centre="gradient_center")
@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Penalties of a discriminator, of images or of transitions; none by default.

    They apply in the order of the fields: those that change layers come before those that divide or wrap them.
    """

    input_dropout: float = penalty_field(InputDropout, 0.0, UNLESS_DEFAULT, share="input_dropout")
    """Share of the discriminator's inputs that each of its gradient steps drops (Orsini et al. 2021, 2106.00672), e.g.
    0.25; 0 for none."""
    hidden_dropout: float = penalty_field(HiddenDropout, 0.0, UNLESS_DEFAULT, share="hidden_dropout")
    """Share of the discriminator's hidden units that each of its gradient steps drops (Orsini et al. 2021,
    2106.00672), e.g. 0.5; 0 for none."""
    quantize: int = penalty_field(Quantize, 0, codes="quantize")
    """Size of the codebook that the inputs of the discriminator's last layer are rounded to (FQ-GAN, Zhao et al. 2020,
    2004.02088), e.g. 64; 0 for no rounding."""
    bottleneck: float = penalty_field(Bottleneck, limit="bottleneck", step_size="bottleneck_step")
    """Nats about its inputs that the discriminator may keep, on average (VAIL, Peng et al. 2019, 1810.00821: 0.5); 0
    for no bottleneck."""
    bottleneck_step: float = setting(1e-3, "bottleneck")
    """Step size of the dual ascent on the bottleneck's weight, per nat above the limit and gradient step. VAIL uses
    1e-5 and many times as many gradient steps; with 1e-5 a training of a million environment steps would hardly close
    the bottleneck."""
    spectral_norm: bool = penalty_field(SpectralNorm, False)
    """Division of the discriminator's layers by their largest singular value (Miyato et al. 2018, 1802.05957)."""
    historical_average: float = penalty_field(HistoricalAverage, weight="historical_average")
    """Weight of the distance of the discriminator's parameters from the mean of their past (Salimans et al. 2016,
    1606.03498); 0 for none."""
    proximal: float = penalty_field(Proximal, 0.0, UNLESS_DEFAULT, limit="proximal")
    """Mean squared change [nats²] of the discriminator's output from its recent average, above which a penalty grows
    (PIRO, Chen et al. 2025, 2509.23135), e.g. 0.1; 0 for no limit."""
    gradient: float = penalty_field(GradientPenalty, weight="gradient", center="gradient_center")
    """Weight of the gradient penalty between real and fake rows (Gulrajani et al. 2017, 1704.00028: 10); 0 for none."""
    gradient_center: float = setting(1.0, "gradient")
    """Gradient norm that the gradient penalty pulls towards: 1 (Gulrajani et al. 2017) or 0."""
    r1: float = penalty_field(R1, weight="r1")
    """Weight of the R1 penalty at real rows (Mescheder et al. 2018, 1801.04406: 10); 0 for none."""
    entropy: float = penalty_field(Entropy, weight="entropy")
    """Weight of the entropy of D (1e-3 in the released code of GAIL); 0 for none."""
    fgsm: float = penalty_field(AttackedRows, 0.0, UNLESS_DEFAULT, epsilon="fgsm")
    """Largest change of each number of the discriminator's inputs in an attack on it (FGSM, Goodfellow et al. 2015,
    1412.6572), in the unit in which it sees them; the logistic loss of the attacked rows is added to its loss. E.g.
    0.1; 0 for none."""

    def __post_init__(self) -> None:
        positive(self, "bottleneck_step")
        if self.quantize < 0 or self.quantize == 1:
            raise problem("quantize of 2 codes or more, or 0", str(self.quantize), "use e.g. 64, or 0 for none")
        at_least(self, 0, *(each.name for each in fields(self)), remedy="use 0 for none")
        below_one(self, "input_dropout", "hidden_dropout", remedy="use e.g. 0.5, or 0 for none")

    def chosen(self) -> list[Penalty]:
        """New penalties for all fields above zero, in their order."""
        return [
            kind(**{argument: getattr(self, name) for argument, name in each.metadata["arguments"].items()})
            for each in fields(self)
            if (kind := each.metadata.get("penalty")) is not None and getattr(self, each.name)
        ]

    def refuse_for_batch_norm(self, remedy: str) -> None:
        """Raise `InputError` for penalties that a discriminator with batch norm cannot have."""
        needed, names = (
            "whose rows do not influence one another",
            ("gradient", "r1", "bottleneck", "quantize", "proximal", "fgsm"),
        )
        self._refuse(needed, "one with batch norm", remedy, *names)

    def refuse_for_loss(self, name: str, divergence: Divergence) -> None:
        """Raise `InputError` for penalties that do not fit the loss of the divergence `name`."""
        if divergence.discriminator_loss is not logistic_discriminator_loss:
            self._refuse("with a logistic loss", name, "leave it out, or use e.g. minimax or reverse_kl", "fgsm")

    def refuse_for_condition(self) -> None:
        """Raise `InputError` for penalties that a discriminator with a condition in addition to the image cannot
        have."""
        remedy = "leave these out, or choose a model without labels"
        self._refuse(
            "that sees images alone",
            "one with a condition",
            remedy,
            "bottleneck",
            "quantize",
            "input_dropout",
            "proximal",
        )

    def _refuse(self, needed: str, got: str, remedy: str, *names: str) -> None:
        found = [name for name in names if getattr(self, name)]
        if found:
            raise problem(f"for the penalty {' and '.join(found)} a discriminator {needed}", got, remedy)


def penalty_panels() -> tuple[Panel, ...]:
    """Panels of what the penalties of a `PenaltyConfig` report."""
    kinds = [each.metadata.get("penalty") for each in fields(PenaltyConfig)]
    return tuple(panel for kind in kinds for panel in getattr(kind, "panels", ()))
