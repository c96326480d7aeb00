"""Adversarial examples: inputs changed by at most a radius per number, such that a loss grows; and training with them.

The radius is one number, or one for each number of an input (broadcast). Bounds are those of the inputs, e.g. 0 and 1
for images; infinite ones for inputs without bounds.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Inputs = Float[Tensor, "B *event"]
Radius = float | Float[Tensor, "*event"]


def fast_gradient_sign(
    inputs: Inputs, gradient: Inputs, epsilon: Radius, low: float = -math.inf, high: float = math.inf
) -> Inputs:
    """clamp(x + ε sign(∇_x J), low, high): the largest first-order increase of the loss J within ε of x.

    Goodfellow et al. 2015 (1412.6572), section 4.

    >>> fast_gradient_sign(torch.tensor([[0.5, 0.9]]), torch.tensor([[-3.0, 0.1]]), 0.25, 0.0, 1.0)
    tensor([[0.2500, 1.0000]])
    """
    return (inputs + epsilon * gradient.sign()).clamp(low, high)


def within_ball(
    inputs: Inputs, center: Inputs, epsilon: Radius, low: float = -math.inf, high: float = math.inf
) -> Inputs:
    """The point nearest to `inputs` that is within ε of `center` in every number, and between the bounds, if `center`
    is. The projection of Madry et al. 2018 (1706.06083), section 2.1, for their L∞ ball."""
    return torch.maximum(torch.minimum(inputs, center + epsilon), center - epsilon).clamp(low, high)


def projected_gradient_step(
    inputs: Inputs,
    gradient: Inputs,
    center: Inputs,
    step: Radius,
    epsilon: Radius,
    low: float = -math.inf,
    high: float = math.inf,
) -> Inputs:
    """Π(x + α sign(∇_x J)), Π the projection onto the ball of the radius ε around `center` and the bounds, α the step.

    Madry et al. 2018 (1706.06083), section 2.1.
    """
    return within_ball(inputs + step * gradient.sign(), center, epsilon, low, high)


def adversarial_objective(
    clean_loss: Float[Tensor, "*batch"], attacked_loss: Float[Tensor, "*batch"], clean_share: float = 0.5
) -> Float[Tensor, "*batch"]:
    """α J(x) + (1 - α) J(x_adversarial), α = 0.5 in the paper. Goodfellow et al. 2015 (1412.6572), section 6.

    α = 0 is the robust optimization of Madry et al. 2018 (1706.06083), eq. 2.1.
    """
    return clean_share * clean_loss + (1 - clean_share) * attacked_loss
