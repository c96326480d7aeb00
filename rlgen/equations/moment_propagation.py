"""Mean and variance of what a network with random weights computes, layer by layer and without samples.

Hernández-Lobato & Adams 2015 (probabilistic backpropagation, 1502.05336), section 3.2. Units of a layer are taken as
independent given the inputs. That is exact up to the outputs of the second layer, because units of the first one share
no weights; deeper it is an approximation. Pre-activations are taken as Gaussian in the activation, which is exact for
the first layer. Shapes: B batch, I inputs, J outputs.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.special import ndtr

Units = Float[Tensor, "B J"]
Inputs = Float[Tensor, "B I"]
Matrix = Float[Tensor, "I J"]
Vector = Float[Tensor, " J"]


def dense_moments(
    mean: Inputs, var: Inputs | None, weight_mean: Matrix, weight_std: Matrix, bias_mean: Vector, bias_std: Vector
) -> tuple[Units, Units]:
    """Mean and variance of a dense layer's outputs: Σ_i w_i a_i + b of independent w, b and inputs a.

    `var`: variance of the inputs; None for inputs that are given. Eqs. 13 and 14 of Hernández-Lobato & Adams 2015
    (1502.05336), without their scaling by the number of inputs and with biases apart.
    """
    weight_var, bias_var = weight_std.square(), bias_std.square()
    second_moment = mean.square() if var is None else mean.square() + var
    out_var = torch.addmm(bias_var, second_moment, weight_var)
    if var is not None:
        out_var = torch.addmm(out_var, var, weight_mean.square())
    return torch.addmm(bias_mean, mean, weight_mean), out_var


def relu_moments(mean: Units, var: Units) -> tuple[Units, Units]:
    """Mean and variance of max(0, z) for z ~ N(mean, var). Hernández-Lobato & Adams 2015 (1502.05336), eqs. 15 and 16.

    With α = mean/√var, Φ and φ the distribution function and density of N(0, 1), the variance is
    var (Φ + α² Φ (1 - Φ) + α φ (1 - 2 Φ) - φ²), which does not subtract large numbers from each other.
    """
    std = var.sqrt()
    alpha = mean / std
    above, below = ndtr(alpha), ndtr(-alpha)
    density = (-0.5 * alpha.square()).exp() / math.sqrt(2 * math.pi)
    share = above * (1 + alpha.square() * below) + alpha * density * (below - above) - density.square()
    return mean * above + std * density, var * share.clamp(min=0)
