"""Policies that revert to their prior away from the data that they have learned from."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.coherent_reward import triangle_wave
from rlgen.equations.gaussians import gaussian_log_prob

LEAST_STD = 1e-5**0.5
"""Lower limit of the standard deviation in the released code of Watson et al. 2023 (2305.16498)."""
PRIOR_STD = math.tanh(1.0)
"""Standard deviation of the prior: that of features of length 1 before learning."""
Observations = Float[Tensor, "B O"]
Actions = Float[Tensor, "B A"]
LogProb = Float[Tensor, " B"]


class StationaryFeatures(nn.Module):
    """Periodic features of a perceptron's outputs. Meronen et al. 2021 (2110.13572); Watson et al. 2023 (CSIL,
    2305.16498), section 4.1 and appendix G.

    Features of distant inputs are nearly orthogonal, so weights that learn from the data change little elsewhere.

    Differs from the paper: the initial length scale is 1, not e⁻⁵, with which all inputs have the same features at
    first.
    """

    def __init__(self, observations: int, hidden: Sequence[int], features: int):
        super().__init__()
        sizes = [observations, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ELU()]
            nn.init.orthogonal_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
        self.perceptron = nn.Sequential(*layers)
        self.random = nn.Parameter(torch.randn(sizes[-1], features // 2))
        self.log_lengthscale = nn.Parameter(torch.zeros(sizes[-1]))
        self.size = 2 * (features // 2)
        """Number of features."""

    def features(self, observations: Observations) -> Float[Tensor, "B F"]:
        """Periodic features, of length about 1."""
        inner = (self.perceptron(observations) * self.log_lengthscale.exp()) @ self.random
        shifted = torch.cat([inner + math.pi / 4, inner - math.pi / 4], -1)
        return triangle_wave(shifted) / math.sqrt(shifted.shape[-1])


class StationaryPolicy(StationaryFeatures):
    """N(mean(s), std(s)²) of actions scaled to [-1, 1]: linear in periodic features of a perceptron's outputs. Watson
    et al. 2023 (CSIL, 2305.16498), section 4.1 and appendix G; Meronen et al. 2021 (2110.13572).

    The mean is w·f(s), the standard deviation tanh |Lᵀ f(s)| times that of the prior, with a lower triangular matrix L
    for each action dimension, at first the unit matrix. Away from the data the policy remains the `prior`.

    Differs from the paper: the actions are not squashed by tanh, because demonstrated actions on the bounds have no
    finite density then.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: Sequence[int] = (256, 256, 12),
        features: int = 256,
        least_std: float = LEAST_STD,
    ):
        """`hidden`: widths of the perceptron, whose last layer is narrow; `features`: number of features, an even one;
        `least_std`: lower limit of the standard deviation, about."""
        super().__init__(observations, hidden, features)
        self.least_std = least_std
        self.mean = nn.Parameter(torch.zeros(self.size, actions))
        self.scale = nn.Parameter(torch.eye(self.size).repeat(actions, 1, 1))

    def std(self, features: Float[Tensor, "B F"]) -> Actions:
        variance = torch.einsum("afg,bf->bag", self.scale.tril(), features).square().sum(-1)
        return torch.tanh((self.least_std**2 + variance).sqrt())

    def forward(self, observations: Observations) -> tuple[Actions, Actions]:
        """Mean and standard deviation."""
        features = self.features(observations)
        return features @ self.mean, self.std(features)

    def log_prob(self, observations: Observations, actions: Actions) -> LogProb:
        """log π(a|s), nats, for actions scaled to [-1, 1]."""
        mean, std = self(observations)
        return gaussian_log_prob(actions, mean, std).sum(-1)

    def prior_log_prob(self, actions: Actions) -> LogProb:
        """log p(a), nats, of the prior: the policy before learning, up to the length of its features."""
        return gaussian_log_prob(actions, torch.zeros_like(actions), PRIOR_STD).sum(-1)

    def loss(self, observations: Observations, actions: Actions) -> Float[Tensor, ""]:
        """The faithful loss: squared error of the mean, plus the negative log-likelihood, nats, from which only the
        standard deviation's last layer learns: a noise that fits the errors cannot excuse them. Stirn et al. 2023
        (2212.09184); Watson et al. 2023 (2305.16498), appendix G."""
        features = self.features(observations)
        mean = features @ self.mean
        surprise = -gaussian_log_prob(actions, mean.detach(), self.std(features.detach())).sum(-1)
        return F.mse_loss(mean, actions) + surprise.mean()

    @property
    def highest_log_ratio(self) -> float:
        """About the highest log-ratio to the prior per action dimension, nats: that of the mean, at the least standard
        deviation."""
        return math.log(PRIOR_STD / self.least_std)


class StationaryCategorical(StationaryFeatures):
    """Independent categorical distributions of K discrete numbers, whose logits are linear in periodic features and 0
    before learning. The prior is uniform, and has a share in the policy everywhere.

    The discrete counterpart of `StationaryPolicy`, which the paper does not have. The prior's share is that of the
    least standard deviation there: it limits how unlikely an action can be.
    """

    def __init__(
        self,
        observations: int,
        counts: Sequence[int],
        hidden: Sequence[int] = (256, 256, 12),
        features: int = 256,
        prior_share: float = 0.3,
    ):
        """`counts`: number of values of each action; `hidden`, `features`: as for `StationaryPolicy`; `prior_share`:
        share of the prior, above 0 and below 1."""
        super().__init__(observations, hidden, features)
        self.counts, self.prior_share = tuple(counts), prior_share
        self.logits = nn.Parameter(torch.zeros(self.size, sum(self.counts)))

    def forward(self, observations: Observations) -> list[Float[Tensor, "B n"]]:
        """log π of all values of each action, nats."""
        parts = (self.features(observations) @ self.logits).split(self.counts, 1)
        return [
            torch.logaddexp(
                part.log_softmax(1) + math.log1p(-self.prior_share),
                torch.full_like(part, math.log(self.prior_share / part.shape[1])),
            )
            for part in parts
        ]

    def log_prob(self, observations: Observations, actions: Actions) -> LogProb:
        """log π(a|s), nats, for whole numbers from 0."""
        columns = zip(self(observations), actions.long().unbind(1), strict=True)
        return torch.stack([part.gather(1, taken[:, None]).squeeze(1) for part, taken in columns]).sum(0)

    def prior_log_prob(self, actions: Actions) -> LogProb:
        """log p(a), nats, of the uniform prior."""
        return torch.full((len(actions),), -sum(map(math.log, self.counts)), device=actions.device)

    def loss(self, observations: Observations, actions: Actions) -> Float[Tensor, ""]:
        """Negative log-likelihood, nats."""
        return -self.log_prob(observations, actions).mean()

    @property
    def highest_log_ratio(self) -> float:
        """The highest log-ratio to the prior per number, nats."""
        shares = (1 - self.prior_share + self.prior_share / n for n in self.counts)
        return sum(math.log(share * n) for share, n in zip(shares, self.counts, strict=True)) / len(self.counts)
