"""Bayesian multilayer perceptron: a distribution over functions, its ELBO and its information gain per row."""

from collections.abc import Callable, Sequence
from itertools import pairwise, repeat
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.exploration_bonuses import (
    compression_improvement_local,
    compression_improvement_shared,
    expected_information_gain,
    information_gain_local,
    information_gain_shared,
)
from rlgen.equations.gaussians import gaussian_log_prob, gaussian_score
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.moment_propagation import dense_moments, relu_moments
from rlgen.equations.multiplicative_noise import (
    ScaledLocalPass,
    ScaledSharedPass,
    information_gain_scaled_local,
    information_gain_scaled_shared,
)
from rlgen.equations.reparametrization import LocalPass, SharedPass
from rlgen.equations.variational_bounds import elbo
from rlgen.errors import problem
from rlgen.nn.bayesian_dense import BayesianDense, Drawn, GaussianDense, Pass, Sampling

Inputs = Float[Tensor, "B I"]
Targets = Float[Tensor, "B O"]
Scalar = Float[Tensor, ""]
Std = Float[Tensor, ""] | Float[Tensor, " O"] | Float[Tensor, "B O"] | float
Gain = Literal["information", "compression"]
GAINS: dict[tuple[Gain, type], Callable[..., Tensor]] = {
    ("information", LocalPass): information_gain_local,
    ("information", SharedPass): information_gain_shared,
    ("information", ScaledLocalPass): information_gain_scaled_local,
    ("information", ScaledSharedPass): information_gain_scaled_shared,
    ("compression", LocalPass): compression_improvement_local,
    ("compression", SharedPass): compression_improvement_shared,
}
"""Equation by the kind of gain and the type of a layer's pass."""


class BayesianMLP(nn.Module):
    """Dense layers of `sizes` (inputs first, outputs last) with distributions over their weights, `activation` between.

    The defaults are the standard deviations of the prior and of the initial posterior in VIME's released code
    (Houthooft et al. 2016, 1605.09674), which draws initial means from N(0, 1): `initial_mean_std=1`. None means
    1/√fan_in for each layer, as in an ordinary perceptron. For another posterior pass `dense`, which constructs a layer
    from (fan_in, fan_out, prior_std, initial_std, initial_mean_std).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: type[nn.Module] = nn.ReLU,
        prior_std: float = 0.5,
        initial_std: float = 0.5,
        initial_mean_std: float | None = None,
        dense: Callable[..., nn.Module] = GaussianDense,
    ):
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise problem("sizes of inputs and outputs, each 1 or more", f"{list(sizes)}", "use e.g. [11, 32, 8]")
        made = [dense(*fans, prior_std, initial_std, initial_mean_std) for fans in pairwise(sizes)]
        self.layers = nn.ModuleList(made)
        self.activation = activation()

    def forward(self, x: Inputs, samples: int = 1, sampling: Sampling = "local") -> Float[Tensor, "S B O"]:
        """Outputs of `samples` functions drawn from the posterior, in one pass."""
        hidden = x.unsqueeze(0)
        for layer in self.layers[:-1]:
            hidden = self.activation(layer(hidden, samples, sampling))
        return self.layers[-1](hidden, samples, sampling)

    def kl_to_prior(self) -> Scalar:
        """KL[q(θ; φ) ‖ p(θ)], nats; an upper bound for layers without a closed form."""
        return torch.stack([layer.kl_to_prior() for layer in self._bayesian()]).sum()

    def posterior(self) -> tuple[Any, ...]:
        """A detached copy of the posterior of each layer, for `kl_to`."""
        return tuple(layer.posterior() for layer in self._bayesian())

    def kl_to(self, stored: Sequence[Any]) -> Scalar:
        """KL[q(θ; φ) ‖ q(θ; stored)], nats, or an upper bound: the change since `stored = posterior()`."""
        divergences = [layer.kl_to(old) for layer, old in zip(self._bayesian(), stored, strict=True)]
        return torch.stack(divergences).sum()

    def negative_elbo(
        self,
        x: Inputs,
        y: Targets,
        n_data: int | float,
        samples: int,
        likelihood_std: Std,
        sampling: Sampling = "local",
    ) -> Scalar:
        """-E[log p(y|x, θ)] + KL[q ‖ p] / n_data in nats per row: averaged over rows and samples, summed over outputs.

        Hinton & van Camp 1993; Blundell et al. 2015 (1505.05424), eq. 2. `n_data` is the number of rows of the complete
        data set, not of this batch: n_data times the value is an upper bound on -log p(data). `likelihood_std`: a fixed
        value, or the output of a module of `rlgen.nn.likelihood_std` to learn it as well.
        """
        _check(n_data)
        log_likelihood = diagonal_gaussian_log_prob(y, self(x, samples, sampling), likelihood_std)
        return -elbo(log_likelihood, self.kl_to_prior() / n_data).mean()

    @torch.no_grad()
    def set_gradient(
        self,
        x: Inputs,
        y: Targets,
        n_data: int | float,
        samples: int,
        likelihood_std: Std,
        sampling: Sampling = "local",
    ) -> Scalar:
        """Compute `negative_elbo`, detached, and set every parameter's `grad` to its gradient.

        For layers with Gaussian weights this takes half the time of `backward` and gives the same gradient for the same
        random numbers. For other layers it calls `backward`. If `likelihood_std` is learned, its gradient is included.
        """
        _check(n_data)
        layers = [layer for layer in self.layers if isinstance(layer, GaussianDense)]
        if len(layers) < len(self.layers):
            return self._set_gradient_by_autograd(x, y, n_data, samples, likelihood_std, sampling)
        passes = [layer.weights().draw(samples, sampling) for layer in layers]
        output, traces, sensitivities = self._sensitivities(passes, x, y, likelihood_std)
        for layer, trace, sensitivity in zip(layers, traces, sensitivities, strict=True):
            of_mean, of_std = trace.parameter_gradient(sensitivity.div_(samples * len(x)))
            layer.set_gradient(of_mean, of_std, kl_weight=1 / n_data)
        with torch.enable_grad():
            loss = -gaussian_log_prob(y, output, likelihood_std).sum(-1).mean()
        if loss.requires_grad:
            loss.backward()
        return loss.detach() + self.kl_to_prior() / n_data

    @torch.enable_grad()
    def _set_gradient_by_autograd(self, *arguments: Any) -> Scalar:
        self.zero_grad(set_to_none=True)
        loss = self.negative_elbo(*arguments)
        loss.backward()
        return loss.detach()

    @torch.no_grad()
    def information_gain(
        self,
        x: Inputs,
        y: Targets,
        likelihood_std: Std,
        step_size: float = 0.01,
        samples: int = 1,
        sampling: Sampling = "local",
        chunk: int = 2048,
        gain: Gain = "information",
    ) -> Float[Tensor, " B"]:
        """KL[q(θ; φ') ‖ q(θ; φ)] in nats, separately for each row, with φ' one second-order step of `step_size` from φ.

        Houthooft et al. 2016 (1605.09674), section 2.5. With S samples it is the gain of a step along the mean of S
        gradients, as in the released code (which has no ½). Its expectation is g + c/S, where g is the limit S → ∞ and
        c the gain of the noise of one sample's gradient: from a tenth of g to five times g in
        experiments/vime/weight_samples.csv. `chunk`: rows times samples processed at a time, which limits memory;
        shared weight samples do not depend on it. `gain="compression"`: KL[q(θ; φ) ‖ q(θ; φ')] instead, section 2.4;
        its time grows with B times the number of weights.

        For layers with noise z from a flow it is the mean over z of the KL of the weights given z, for a step of means
        and standard deviations only: an upper bound for the weights (`rlgen.equations.multiplicative_noise`).
        """
        passes = self._draw(samples, sampling)
        rows = max(1, chunk // samples)
        per_row = isinstance(likelihood_std, Tensor) and likelihood_std.ndim > 1
        stds = likelihood_std.split(rows) if per_row else repeat(likelihood_std)  # type: ignore[union-attr]
        gains = [
            self._gain(gain, *self._sensitivities(passes, some_x, some_y, std)[1:], step_size)
            for some_x, some_y, std in zip(x.split(rows), y.split(rows), stds, strict=False)
        ]
        return torch.cat(gains)

    @torch.no_grad()
    def moments(self, x: Inputs, samples: int = 16) -> tuple[Float[Tensor, "B O"], Float[Tensor, "B O"]]:
        """Mean and variance of the outputs under the posterior, without the likelihood's noise.

        By moments of the layers for ReLU and Gaussian weights: exact with one hidden layer
        (`rlgen.equations.moment_propagation`). Otherwise from `samples` functions.
        """
        layers = [layer for layer in self.layers if isinstance(layer, GaussianDense)]
        if len(layers) < len(self.layers) or not isinstance(self.activation, nn.ReLU):
            drawn = self(x, samples)
            return drawn.mean(0), drawn.var(0)
        mean, var = dense_moments(x, None, *layers[0].weights())
        for layer in layers[1:]:
            mean, var = dense_moments(*relu_moments(mean, var), *layer.weights())
        return mean, var

    def expected_gain(self, x: Inputs, likelihood_std: Std, samples: int = 16) -> Float[Tensor, " B"]:
        """Expected information gain of an observation at each row, nats: `expected_information_gain` of `moments`."""
        return expected_information_gain(self.moments(x, samples)[1], likelihood_std)

    def _sensitivities(
        self, passes: Sequence[Pass], x: Inputs, y: Targets, likelihood_std: Std
    ) -> tuple[Tensor, list[Any], list[Tensor]]:
        """Outputs [S, B, O], each layer's trace, and ∂(-log p_s)/∂(pre-activation) [S, B, J] of each layer.

        The traces compute the gradients of the layers; only activations use autograd.
        """
        output, trace = passes[0](x.unsqueeze(0))
        traces, activated = [trace], []
        for layer_pass in passes[1:]:
            with torch.enable_grad():
                activated.append((output.requires_grad_(), self.activation(output)))
            output, trace = layer_pass(activated[-1][1].detach())
            traces.append(trace)
        sensitivities = [gaussian_score(output, y, likelihood_std)]  # of -log p, so target and mean are swapped
        for (before, after), trace in zip(reversed(activated), reversed(traces), strict=False):
            of_input = trace.input_gradient(sensitivities[0])
            sensitivities = [*torch.autograd.grad(after, before, of_input), *sensitivities]
        return output, traces, sensitivities

    def _bayesian(self) -> list[BayesianDense]:
        return list(self.layers)  # type: ignore[arg-type]

    def _draw(self, samples: int, sampling: Sampling) -> list[Pass]:
        """A pass of each layer with weights from the detached posterior."""
        posteriors = self.posterior()
        if not all(isinstance(posterior, Drawn) for posterior in posteriors):
            raise self._no_closed_form()
        return [posterior.draw(samples, sampling) for posterior in posteriors]

    def _gain(self, gain: Gain, traces: list[Any], sensitivities: list[Tensor], step_size: float) -> Tensor:
        kinds = {type(trace) for trace in traces}
        equation = GAINS.get((gain, kinds.pop()))
        if equation is None or kinds:
            raise self._no_closed_form(gain)
        return equation(traces, sensitivities, step_size)

    def _no_closed_form(self, gain: Gain = "information") -> Exception:
        return problem(
            f"layers of one type with diagonal Gaussian weights, whose {gain} gain has a closed form",
            ", ".join(type(layer).__name__ for layer in self.layers),
            "use GaussianDense, or first_order_gain, which works with any posterior",
        )


def _check(n_data: int | float) -> None:
    if n_data <= 0:
        raise problem("a positive number of rows n_data", f"{n_data}", "pass the size of the pool of transitions")
