"""A dense layer with a distribution over its weights: the layer of a Bayesian network."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gaussians import kl_gaussian, kl_gaussian_gradient
from rlgen.equations.multiplicative_noise import ScaledLocalPass, ScaledSharedPass
from rlgen.equations.reparametrization import LocalPass, SharedPass, local_reparametrization, shared_reparametrization
from rlgen.errors import problem


def inverse_softplus(positive: Tensor) -> Tensor:
    """The ρ with log(1 + exp ρ) = `positive`."""
    return positive + torch.log(-torch.expm1(-positive))


Sampling = Literal["local", "shared"]
"""local: separate noise at the pre-activations of every row and sample. shared: one weight sample is used for all
rows."""
Inputs = Float[Tensor, "S_or_1 B I"]
Outputs = Float[Tensor, "S B J"]
Scalar = Float[Tensor, ""]
Trace = LocalPass | SharedPass | ScaledLocalPass | ScaledSharedPass
Pass = Callable[[Tensor], tuple[Tensor, Trace]]


@runtime_checkable
class BayesianDense(Protocol):
    """Protocol of a dense layer with a posterior over its weights, for example a flow. An `nn.Module`."""

    def __call__(self, inputs: Tensor, samples: int, sampling: Sampling) -> Tensor:
        """Outputs [S, B, J] of inputs [S, B, I], or of [1, B, I] if all samples have the same inputs."""
        ...

    def kl_to_prior(self) -> Tensor:
        """KL[posterior ‖ prior], a scalar in nats, or an estimate or upper bound, so that the ELBO stays a bound."""
        ...

    def posterior(self) -> Any:
        """A detached copy of the posterior."""
        ...

    def kl_to(self, stored: Any) -> Tensor:
        """KL[posterior ‖ stored], a scalar in nats, or an upper bound; `stored` is a result of `posterior`."""
        ...


@runtime_checkable
class Drawn(Protocol):
    """Protocol of the results of `posterior` for which the information gain has a closed form."""

    def draw(self, samples: int, sampling: Sampling) -> Pass:
        """A function from inputs [S or 1, B, I] to outputs [S, B, J] and the trace that gradients require."""
        ...


class GaussianWeights(NamedTuple):
    """Independent Gaussians over the weights [I, J] and biases [J] of one dense layer."""

    weight_mean: Tensor
    weight_std: Tensor
    bias_mean: Tensor
    bias_std: Tensor

    def draw(self, samples: int, sampling: Sampling) -> Pass:
        """A function from inputs [S or 1, B, I] to outputs [S, B, J] and the trace that gradients require.

        Shared weights are drawn by this call, so that consecutive batches use the same sample.
        """
        check_sampling(sampling)
        if sampling == "shared":
            weight_noise = self._noise(samples, *self.weight_mean.shape)
            bias_noise = self._noise(samples, *self.bias_mean.shape)
            return lambda inputs: shared_reparametrization(inputs, *self, weight_noise, bias_noise)
        return lambda inputs: local_reparametrization(
            inputs, *self, self._noise(samples, inputs.shape[1], len(self.bias_mean))
        )

    def _noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, dtype=self.bias_mean.dtype, device=self.bias_mean.device)


class GaussianDense(nn.Module):
    """Weights and biases N(mean, softplus(rho)²), each independent of all others, under the prior N(0, prior_std²)."""

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        prior_std: float = 0.5,
        initial_std: float = 0.5,
        initial_mean_std: float | None = None,
    ):
        """`initial_mean_std`: standard deviation of the initial means; None for 1/√fan_in."""
        super().__init__()
        mean_std = fan_in**-0.5 if initial_mean_std is None else initial_mean_std
        if min(prior_std, initial_std) <= 0 or mean_std < 0:
            raise problem(
                "positive prior_std and initial_std, and an initial_mean_std of at least 0",
                f"prior_std {prior_std}, initial_std {initial_std}, initial_mean_std {initial_mean_std}",
                "use e.g. 0.5, 0.5 and None",
            )
        self.prior_std = prior_std
        rho = inverse_softplus(torch.tensor(float(initial_std), dtype=torch.float64)).item()
        # The bias is the last row: with one tensor each, a gradient step takes half as many operations.
        self.mean = nn.Parameter(mean_std * torch.randn(fan_in + 1, fan_out))
        self.rho = nn.Parameter(torch.full((fan_in + 1, fan_out), rho))

    def weights(self) -> GaussianWeights:
        """The posterior, differentiable with respect to the parameters."""
        std = F.softplus(self.rho)
        return GaussianWeights(self.mean[:-1], std[:-1], self.mean[-1], std[-1])

    def posterior(self) -> GaussianWeights:
        return GaussianWeights(*(tensor.detach().clone() for tensor in self.weights()))

    def forward(self, inputs: Inputs, samples: int, sampling: Sampling) -> Outputs:
        return self.weights().draw(samples, sampling)(inputs)[0]

    def kl_to_prior(self) -> Scalar:
        return kl_gaussian(self.mean, F.softplus(self.rho), 0.0, self.prior_std).sum()

    @torch.no_grad()
    def set_gradient(self, of_mean: Tensor, of_std: Tensor, kl_weight: float) -> None:
        """Set `grad` to a loss's gradient with respect to means and standard deviations [I + 1, J], plus kl_weight
        times the gradient of `kl_to_prior`."""
        std = F.softplus(self.rho)
        kl_of_mean, kl_of_std = kl_gaussian_gradient(self.mean, std, 0.0, self.prior_std)
        self.mean.grad = torch.add(of_mean, kl_of_mean, alpha=kl_weight)
        slope = torch.expm1(-std).neg_()  # derivative of softplus, as a function of its value
        self.rho.grad = torch.add(of_std, kl_of_std, alpha=kl_weight).mul_(slope)

    def kl_to(self, stored: GaussianWeights) -> Scalar:
        own = self.weights()
        weights = kl_gaussian(own.weight_mean, own.weight_std, stored.weight_mean, stored.weight_std)
        return weights.sum() + kl_gaussian(own.bias_mean, own.bias_std, stored.bias_mean, stored.bias_std).sum()


def check_sampling(sampling: str) -> None:
    if sampling not in get_args(Sampling):
        raise problem(f"sampling one of {', '.join(get_args(Sampling))}", repr(sampling), "choose one of these")
