"""Bayesian multilayer perceptron: a distribution over functions, what it learns and what it gains from one row."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.compression import compression_improvement_local, compression_improvement_shared
from rlgen.equations.elbo import elbo
from rlgen.equations.gaussians import gaussian_log_prob, gaussian_score
from rlgen.equations.information import information_gain_local, information_gain_shared
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.multiplicative_noise import (
    ScaledLocalPass,
    ScaledSharedPass,
    information_gain_scaled_local,
    information_gain_scaled_shared,
)
from rlgen.equations.reparametrisation import LocalPass, SharedPass
from rlgen.errors import problem
from rlgen.nn.bayesian_dense import BayesianDense, Drawn, GaussianDense, Pass, Sampling

Inputs = Float[Tensor, "B I"]
Targets = Float[Tensor, "B O"]
Scalar = Float[Tensor, ""]
Std = Float[Tensor, ""] | Float[Tensor, " O"] | float
Gain = Literal["information", "compression"]
GAINS: dict[tuple[Gain, type], Callable[..., Tensor]] = {
    ("information", LocalPass): information_gain_local,
    ("information", SharedPass): information_gain_shared,
    ("information", ScaledLocalPass): information_gain_scaled_local,
    ("information", ScaledSharedPass): information_gain_scaled_shared,
    ("compression", LocalPass): compression_improvement_local,
    ("compression", SharedPass): compression_improvement_shared,
}
"""By what is gained and what a layer's pass leaves."""


class BayesianMLP(nn.Module):
    """Dense layers of `sizes` (inputs first, outputs last) with distributions over their weights, `activation` between.

    Defaults are the prior and initial deviations of VIME's released code (Houthooft et al. 2016, 1605.09674), which
    draws initial means from N(0, 1): `initial_mean_std=1`. None is 1/√fan_in for each layer, as in a plain perceptron.
    `dense` makes the layers, given (fan_in, fan_out, prior_std, initial_std, initial_mean_std): the seam for another
    posterior.
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
        """Outputs of `samples` functions drawn from the posterior, all in one pass."""
        hidden = x.unsqueeze(0)
        for layer in self.layers[:-1]:
            hidden = self.activation(layer(hidden, samples, sampling))
        return self.layers[-1](hidden, samples, sampling)

    def kl_to_prior(self) -> Scalar:
        """KL[q(θ; φ) ‖ p(θ)], nats; layers that know no more than a bound from above give that."""
        return torch.stack([layer.kl_to_prior() for layer in self._bayesian()]).sum()

    def posterior(self) -> tuple[Any, ...]:
        """A detached copy of the posterior of each layer, for `kl_to`."""
        return tuple(layer.posterior() for layer in self._bayesian())

    def kl_to(self, stored: Sequence[Any]) -> Scalar:
        """KL[q(θ; φ) ‖ q(θ; stored)], nats or a bound: how far it has moved since `stored = posterior()`."""
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

        Hinton & van Camp 1993; Blundell et al. 2015 (1505.05424), eq. 2. `n_data` is the number of rows that the
        posterior is to stand for, whatever the size of this batch: times n_data, the value bounds -log p(data).
        `likelihood_std`: fixed, or a `LikelihoodStd` called, to learn it too.
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
        """`negative_elbo`, detached, and its gradient in every parameter's `grad`: with the same random numbers that of
        `backward`, in half the time, for layers with Gaussian weights. For other layers it is `backward`.

        Where `likelihood_std` is being learned, its gradient is taken too.
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
        """KL[q(θ; φ') ‖ q(θ; φ)] in nats of each row by itself, φ' one second-order step of `step_size` from φ.

        Houthooft et al. 2016 (1605.09674), section 2.5. With S samples it is the gain of the step along the average of
        their S gradients, as in the released code (which has no ½): on average above the S → ∞ limit by a share ~ 1/S.
        `chunk`: rows times samples that are worked on at a time, which bounds memory; shared weights stay the same.
        `gain` compression: KL[q(θ; φ) ‖ q(θ; φ')] instead, section 2.4; its time grows with B times the weights.

        Under a flow's noise z it is the mean over z of the KL of the weights given z, with a step of means and
        deviations only: a bound on that of the weights (`rlgen.equations.multiplicative_noise`).
        """
        passes = self._draw(samples, sampling)
        rows = max(1, chunk // samples)
        gains = [
            self._gain(gain, *self._sensitivities(passes, some_x, some_y, likelihood_std)[1:], step_size)
            for some_x, some_y in zip(x.split(rows), y.split(rows), strict=True)
        ]
        return torch.cat(gains)

    def _sensitivities(
        self, passes: Sequence[Pass], x: Inputs, y: Targets, likelihood_std: Std
    ) -> tuple[Tensor, list[Any], list[Tensor]]:
        """Outputs [S, B, O], what each layer's pass leaves, and ∂(-log p_s)/∂(pre-activation) [S, B, J] of each layer.

        Layers know the way back; only activations are left to autograd.
        """
        output, trace = passes[0](x.unsqueeze(0))
        traces, activated = [trace], []
        for layer_pass in passes[1:]:
            with torch.enable_grad():
                activated.append((output.requires_grad_(), self.activation(output)))
            output, trace = layer_pass(activated[-1][1].detach())
            traces.append(trace)
        sensitivities = [gaussian_score(output, y, likelihood_std)]  # of -log p: outcome and mean change places
        for (before, after), trace in zip(reversed(activated), reversed(traces), strict=False):
            of_input = trace.input_gradient(sensitivities[0])
            sensitivities = [*torch.autograd.grad(after, before, of_input), *sensitivities]
        return output, traces, sensitivities

    def _bayesian(self) -> list[BayesianDense]:
        return list(self.layers)  # type: ignore[arg-type]

    def _draw(self, samples: int, sampling: Sampling) -> list[Pass]:
        """A pass of each layer, from a detached posterior."""
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
            f"layers, all of a kind, with diagonal Gaussian weights, of which the {gain} gain has a closed form",
            ", ".join(type(layer).__name__ for layer in self.layers),
            "use GaussianDense, or first_order_gain, which works with any posterior",
        )


def _check(n_data: int | float) -> None:
    if n_data <= 0:
        raise problem("a positive number of rows n_data", f"{n_data}", "pass the size of the pool of transitions")
