"""Dense layers whose weights are Gaussian given multiplicative input noise z: W_ij | z ~ N(z_i μ_ij, σ_ij²).

q(W) = E_z[q(W | z)], with any density of z, is not Gaussian and its weights are not independent: Louizos & Welling 2017
(1703.01961). Biases are Gaussian and do not depend on z. Shapes: S weight samples, B batch, I inputs, J outputs.
Sensitivity: δ = ∂(-log p)/∂γ of each row's and sample's pre-activations γ.

Information gain: the step changes μ and σ, and the density of z stays fixed. The divergence of the joint distributions
of W and z is then E_z KL[q'(W | z) ‖ q(W | z)], an upper bound on KL[q'(W) ‖ q(W)] of the weights (chain rule of the
divergence). Its Hessian at the old posterior is diagonal: E[z_i²]/σ² for μ, 2/σ² for σ. The gain of a second-order
step, ½ λ² gᵀ H⁻¹ g, therefore equals that of Gaussian weights with the input z a / √E[z²] in the gradients of the
means. `as_gaussian` makes this substitution for the equations of `rlgen.equations.exploration_bonuses`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.exploration_bonuses import Gain, information_gain_local, information_gain_shared
from rlgen.equations.gaussians import kl_gaussian
from rlgen.equations.reparametrization import LocalPass, SharedPass

Inputs = Float[Tensor, "S_or_1 B I"]
Outputs = Float[Tensor, "S B J"]
Matrix = Float[Tensor, "I J"]
Vector = Float[Tensor, " J"]
Noise = Float[Tensor, "*samples I"]


class ScaledLocalPass(NamedTuple):
    """Intermediate values of one pass through a layer with multiplicative noise and local reparametrization."""

    plain: LocalPass
    """Pass of the unscaled inputs a; its variance is that of the output given z."""
    scale: Float[Tensor, "S B I"]
    """z"""
    second_moment: Float[Tensor, " I"] | None
    """E[z²]; required for the gain, None for learning alone."""

    def input_gradient(self, sensitivity: Outputs) -> Inputs:
        """∂(-log p)/∂a = z ⊙ (δ μᵀ) + a ⊙ (κ (σ²)ᵀ)."""
        of_var = self.plain.slope(sensitivity) @ self.plain.weight_var.T
        return (sensitivity @ self.plain.weight_mean.T).mul_(self.scale).addcmul_(self.plain.inputs, of_var)

    def as_gaussian(self) -> LocalPass:
        """The pass of Gaussian weights with the same gain."""
        assert self.second_moment is not None
        plain, inputs = self.plain, self.plain.inputs * (self.scale * self.second_moment.rsqrt())
        var = F.linear(inputs.square(), plain.weight_var.T, plain.bias_var)
        return plain._replace(inputs=inputs, squares=plain.squares.expand_as(inputs), var=var)


class ScaledSharedPass(NamedTuple):
    """Intermediate values of one pass through a layer with multiplicative noise and weight samples."""

    plain: SharedPass
    """Pass of the unscaled inputs a and the weights z μ + σ ε."""
    scale: Float[Tensor, "S I"]
    """z"""
    second_moment: Float[Tensor, " I"] | None
    """E[z²]; required for the gain, None for learning alone."""

    def input_gradient(self, sensitivity: Outputs) -> Inputs:
        """∂(-log p)/∂a = δ (z μ + σ ε)ᵀ."""
        return self.plain.input_gradient(sensitivity)

    def as_gaussian(self) -> SharedPass:
        """The pass of Gaussian weights with the same gain. a is scaled and ε divided by the scale, because the
        gradients of the standard deviations must not change."""
        assert self.second_moment is not None
        scale = self.scale * self.second_moment.rsqrt()
        weight_noise = self.plain.weight_noise / scale.unsqueeze(2)
        return self.plain._replace(inputs=self.plain.inputs * scale.unsqueeze(1), weight_noise=weight_noise)


def scaled_local_reparametrization(
    inputs: Inputs,
    scale: Float[Tensor, "S B I"],
    weight_mean: Matrix,
    weight_std: Matrix,
    bias_mean: Vector,
    bias_std: Vector,
    noise: Outputs,
    second_moment: Float[Tensor, " I"] | None = None,
) -> tuple[Outputs, ScaledLocalPass]:
    """(z a) μ + μ_b + ζ √v, v = a² σ² + σ_b², with a separate z for every row and sample. Louizos & Welling 2017
    (1703.01961), algorithm 1."""
    squares, weight_var, bias_var = inputs.square(), weight_std.square(), bias_std.square()
    var = F.linear(squares, weight_var.T, bias_var)
    std = var.sqrt()
    output = torch.addcmul(F.linear(inputs * scale, weight_mean.T, bias_mean), noise, std)
    weights = weight_mean, weight_std, weight_var, bias_std, bias_var
    return output, ScaledLocalPass(LocalPass(inputs, squares, noise, var, std, *weights), scale, second_moment)


def scaled_shared_reparametrization(
    inputs: Inputs,
    scale: Float[Tensor, "S I"],
    weight_mean: Matrix,
    weight_std: Matrix,
    bias_mean: Vector,
    bias_std: Vector,
    weight_noise: Float[Tensor, "S I J"],
    bias_noise: Float[Tensor, "S J"],
    second_moment: Float[Tensor, " I"] | None = None,
) -> tuple[Outputs, ScaledSharedPass]:
    """a (z μ + σ ε) + μ_b + σ_b ε_b: each of the S samples is one function for the entire batch. Louizos & Welling
    2017 (1703.01961)."""
    weights = scale.unsqueeze(2) * weight_mean + weight_std * weight_noise
    output = inputs @ weights + (bias_mean + bias_std * bias_noise).unsqueeze(1)
    plain = SharedPass(inputs, weights, weight_noise, bias_noise, weight_std, bias_std)
    return output, ScaledSharedPass(plain, scale, second_moment)


def scaled_kl_gaussian(
    scale: Noise, weight_mean: Matrix, weight_std: Matrix, prior_std: float
) -> Float[Tensor, "*samples"]:
    """KL[q(W | z) ‖ N(0, prior_std²)] for each z, nats, summed over the weights. Louizos & Welling 2017
    (1703.01961)."""
    of_std = kl_gaussian(torch.zeros_like(weight_mean), weight_std, 0.0, prior_std).sum()
    return of_std + 0.5 * scale.square() @ (weight_mean / prior_std).square().sum(1)


def expected_log_reverse(
    scale: Noise,
    weight_mean: Matrix,
    weight_std: Matrix,
    reverse_mean: Float[Tensor, " I"],
    reverse_std: Float[Tensor, " I"],
) -> Float[Tensor, "*samples"]:
    """E[log r(z | W)] over W from q(W | z), nats: how well z can be inferred from the weights. r is the auxiliary
    distribution of Louizos & Welling 2017 (1703.01961).

    Differs from the paper: r(z | W) is the posterior of z under the prior z ~ N(reverse_mean, reverse_std²), a Gaussian
    of precision 1/s² + Σ_j μ²/σ², instead of a separate network and flow, because the expectation over W then has a
    closed form, and the bound on the divergence is exact where z has that Gaussian distribution.
    """
    likelihood_precision = (weight_mean / weight_std).square().sum(1)
    prior_precision = reverse_std.square().reciprocal()
    precision = prior_precision + likelihood_precision
    error = ((scale - reverse_mean) * prior_precision).square() + likelihood_precision
    return (0.5 * (precision.log() - math.log(2 * math.pi) - error / precision)).sum(-1)


def information_gain_scaled_local(
    layers: Sequence[ScaledLocalPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """E_z KL[q'(W | z) ‖ q(W | z)] after each transition, nats [B]: Houthooft et al. 2016 (1605.09674), section 2.5,
    for the weights of Louizos & Welling 2017 (1703.01961). Takes the arguments of `information_gain_local`."""
    return information_gain_local([layer.as_gaussian() for layer in layers], sensitivities, step_size)


def information_gain_scaled_shared(
    layers: Sequence[ScaledSharedPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """`information_gain_scaled_local` with weight samples that the batch shares. Houthooft et al. 2016 (1605.09674),
    section 2.5; Louizos & Welling 2017 (1703.01961)."""
    return information_gain_shared([layer.as_gaussian() for layer in layers], sensitivities, step_size)
