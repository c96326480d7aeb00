"""Dense layers whose weights are diagonal Gaussians: pre-activations as functions of noise, and their gradients.

Shapes: S weight samples, B batch, I inputs, J outputs. Inputs are [S, B, I], or [1, B, I] where every sample has the
same input, as in the first layer. Biases are weights with input 1. Sensitivity: δ = ∂(-log p)/∂γ of each row's and
sample's pre-activations γ.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Inputs = Float[Tensor, "S_or_1 B I"]
Outputs = Float[Tensor, "S B J"]
Matrix = Float[Tensor, "I J"]
Vector = Float[Tensor, " J"]
Rows = Float[Tensor, "I_and_bias J"]


class LocalPass(NamedTuple):
    """Intermediate values of one pass through a layer with local reparametrization."""

    inputs: Inputs
    """a"""
    squares: Inputs
    """a²"""
    noise: Outputs
    """ζ, standard normal."""
    var: Float[Tensor, "S_or_1 B J"]
    """v = a² σ² + σ_b², variance of the output given the inputs."""
    std: Float[Tensor, "S_or_1 B J"]
    """√v"""
    weight_mean: Matrix
    """μ"""
    weight_std: Matrix
    """σ"""
    weight_var: Matrix
    """σ²"""
    bias_std: Vector
    """σ_b"""
    bias_var: Vector
    """σ_b²"""

    def slope(self, sensitivity: Outputs) -> Outputs:
        """κ = δ ζ/√v, which is 2 ∂(-log p)/∂v."""
        return (sensitivity * self.noise).div_(self.std)

    def input_gradient(self, sensitivity: Outputs) -> Inputs:
        """∂(-log p)/∂a = δ μᵀ + a ⊙ (κ (σ²)ᵀ)."""
        of_var = self.slope(sensitivity) @ self.weight_var.T
        return (sensitivity @ self.weight_mean.T).addcmul_(self.inputs, of_var)

    def parameter_gradient(self, sensitivity: Outputs) -> tuple[Rows, Rows]:
        """Σ over samples and rows of ∂(-log p) / ∂μ, which is a δ, and / ∂σ, which is a² σ κ; biases last."""
        of_mean = _outer(self.inputs, sensitivity)
        std = torch.cat([self.weight_std, self.bias_std.unsqueeze(0)])
        return of_mean, _outer(self.squares, self.slope(sensitivity)).mul_(std)


class SharedPass(NamedTuple):
    """Intermediate values of one pass through a layer with weight samples."""

    inputs: Inputs
    """a"""
    weights: Float[Tensor, "S I J"]
    """μ + σ ε"""
    weight_noise: Float[Tensor, "S I J"]
    """ε, standard normal."""
    bias_noise: Float[Tensor, "S J"]
    """ε_b, standard normal."""
    weight_std: Matrix
    """σ"""
    bias_std: Vector
    """σ_b"""

    def input_gradient(self, sensitivity: Outputs) -> Inputs:
        """∂(-log p)/∂a = δ (μ + σ ε)ᵀ."""
        return sensitivity @ self.weights.mT

    def parameter_gradient(self, sensitivity: Outputs) -> tuple[Rows, Rows]:
        """Σ over samples and rows of ∂(-log p) / ∂μ, which is a δ, and / ∂σ, which is a ε δ; biases last."""
        of_weights = torch.cat([self.inputs.mT @ sensitivity, sensitivity.sum(1, keepdim=True)], 1)
        noise = torch.cat([self.weight_noise, self.bias_noise.unsqueeze(1)], 1)
        return of_weights.sum(0), (of_weights * noise).sum(0)


def local_reparametrization(
    inputs: Inputs, weight_mean: Matrix, weight_std: Matrix, bias_mean: Vector, bias_std: Vector, noise: Outputs
) -> tuple[Outputs, LocalPass]:
    """a μ + μ_b + ζ √v, v = a² σ² + σ_b²: samples the pre-activations instead of the weights, so that rows are
    independent. Kingma, Salimans & Welling 2015 (1506.02557), eq. 6.

    Differs from VIME's released code: separate noise for every row instead of one noise for the batch, because rows
    would otherwise be correlated.
    """
    squares, weight_var, bias_var = inputs.square(), weight_std.square(), bias_std.square()
    var = F.linear(squares, weight_var.T, bias_var)
    std = var.sqrt()
    output = torch.addcmul(F.linear(inputs, weight_mean.T, bias_mean), noise, std)
    weights = weight_mean, weight_std, weight_var, bias_std, bias_var
    return output, LocalPass(inputs, squares, noise, var, std, *weights)


def shared_reparametrization(
    inputs: Inputs,
    weight_mean: Matrix,
    weight_std: Matrix,
    bias_mean: Vector,
    bias_std: Vector,
    weight_noise: Float[Tensor, "S I J"],
    bias_noise: Float[Tensor, "S J"],
) -> tuple[Outputs, SharedPass]:
    """a (μ + σ ε) + μ_b + σ_b ε_b: each of the S samples is one function for the entire batch.

    Blundell et al. 2015 (1505.05424), section 3.2.
    """
    weights, biases = weight_mean + weight_std * weight_noise, bias_mean + bias_std * bias_noise
    output = inputs @ weights + biases.unsqueeze(1)
    return output, SharedPass(inputs, weights, weight_noise, bias_noise, weight_std, bias_std)


def _outer(inputs: Inputs, outputs: Outputs) -> Rows:
    """Σ of inputs ⊗ outputs over samples and rows; the last row is Σ of the outputs, because a bias has input 1."""
    if len(inputs) < len(outputs):  # every sample has the same input
        outputs = outputs.sum(0, keepdim=True)
    flat = outputs.flatten(0, 1)
    return torch.cat([inputs.flatten(0, 1).T @ flat, flat.sum(0, keepdim=True)])
