"""Dense layers whose weights are diagonal Gaussians: pre-activations as functions of noise.

Shapes: S weight samples, B batch, I inputs, J outputs. Inputs are [S, B, I], or [1, B, I] where every sample has the
same input, as the first layer does. Biases are weights whose input is 1.
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


class LocalPass(NamedTuple):
    """What a layer with local reparametrisation leaves of one pass, besides its output."""

    inputs: Inputs
    """a"""
    noise: Outputs
    """ζ, standard normal."""
    var: Float[Tensor, "S_or_1 B J"]
    """v = a² σ² + σ_b², variance of the output given the inputs."""
    weight_std: Matrix
    """σ"""
    bias_std: Vector
    """σ_b"""


class SharedPass(NamedTuple):
    """What a layer with weight samples leaves of one pass, besides its output."""

    inputs: Inputs
    """a"""
    weight_noise: Float[Tensor, "S I J"]
    """ε, standard normal."""
    bias_noise: Float[Tensor, "S J"]
    """ε_b, standard normal."""
    weight_std: Matrix
    """σ"""
    bias_std: Vector
    """σ_b"""


def local_reparametrisation(
    inputs: Inputs, weight_mean: Matrix, weight_std: Matrix, bias_mean: Vector, bias_std: Vector, noise: Outputs
) -> tuple[Outputs, LocalPass]:
    """a μ + μ_b + ζ √v, v = a² σ² + σ_b²: the sum of the weighted inputs sampled instead of the weights, so that rows
    are independent of one another. Kingma, Salimans & Welling 2015 (1506.02557), eq. 6.

    Differs from VIME's released code: noise of its own for every row, where that has one for the batch.
    """
    var = F.linear(inputs.square(), weight_std.square().T, bias_std.square())
    output = torch.addcmul(F.linear(inputs, weight_mean.T, bias_mean), noise, var.sqrt())
    return output, LocalPass(inputs, noise, var, weight_std, bias_std)


def shared_reparametrisation(
    inputs: Inputs,
    weight_mean: Matrix,
    weight_std: Matrix,
    bias_mean: Vector,
    bias_std: Vector,
    weight_noise: Float[Tensor, "S I J"],
    bias_noise: Float[Tensor, "S J"],
) -> tuple[Outputs, SharedPass]:
    """a (μ + σ ε) + μ_b + σ_b ε_b: each of the S samples is one function for the whole batch.

    Blundell et al. 2015 (1505.05424), section 3.2.
    """
    weights, biases = weight_mean + weight_std * weight_noise, bias_mean + bias_std * bias_noise
    output = inputs @ weights + biases.unsqueeze(1)
    return output, SharedPass(inputs, weight_noise, bias_noise, weight_std, bias_std)
