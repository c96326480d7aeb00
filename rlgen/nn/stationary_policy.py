"""A Gaussian policy that reverts to its prior away from the data that it has learned from."""

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


class StationaryPolicy(nn.Module):
    """N(mean(s), std(s)²) of actions scaled to [-1, 1]: linear in periodic features of a perceptron's outputs. Watson
    et al. 2023 (CSIL, 2305.16498), section 4.1 and appendix G; Meronen et al. 2021 (2110.13572).

    The mean is w·f(s), the standard deviation tanh |Lᵀ f(s)| times that of the prior, with a lower triangular matrix L
    for each action dimension, at first the unit matrix. Features of distant inputs are nearly orthogonal, so what the
    weights learn from the data changes little elsewhere: there the policy remains the `prior`.

    Differs from the paper: the actions are not squashed by tanh, because demonstrated actions on the bounds have no
    finite density then; the initial length scale is 1, not e⁻⁵, with which all inputs have the same features at first.
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
        super().__init__()
        self.least_std = least_std
        sizes = [observations, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ELU()]
            nn.init.orthogonal_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
        self.perceptron = nn.Sequential(*layers)
        self.random = nn.Parameter(torch.randn(sizes[-1], features // 2))
        self.log_lengthscale = nn.Parameter(torch.zeros(sizes[-1]))
        self.mean = nn.Parameter(torch.zeros(2 * (features // 2), actions))
        self.scale = nn.Parameter(torch.eye(2 * (features // 2)).repeat(actions, 1, 1))

    def features(self, observations: Observations) -> Float[Tensor, "B F"]:
        """Periodic features, of length about 1."""
        inner = (self.perceptron(observations) * self.log_lengthscale.exp()) @ self.random
        shifted = torch.cat([inner + math.pi / 4, inner - math.pi / 4], -1)
        return triangle_wave(shifted) / math.sqrt(shifted.shape[-1])

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

    def faithful_loss(self, observations: Observations, actions: Actions) -> Float[Tensor, ""]:
        """Squared error of the mean, plus the negative log-likelihood, nats, from which only the standard deviation's
        last layer learns: a noise that fits the errors cannot excuse them. Stirn et al. 2023 (2212.09184); Watson et
        al. 2023 (2305.16498), appendix G."""
        features = self.features(observations)
        mean = features @ self.mean
        surprise = -gaussian_log_prob(actions, mean.detach(), self.std(features.detach())).sum(-1)
        return F.mse_loss(mean, actions) + surprise.mean()
