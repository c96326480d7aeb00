"""Score-function gradients of bounds with discrete latents. Mnih & Gregor 2014 (NVIL, 1402.0030), section 2.

Shapes: T choices one after another, B batch.
"""

from jaxtyping import Float
from torch import Tensor

PerChoice = Float[Tensor, "T B"]


def learning_signal(log_likelihood: Float[Tensor, " B"], costs: PerChoice) -> PerChoice:
    """log p(x | z) - Σ_{i ≥ t} cost_i, nats: what of the bound depends on the choice t. Mnih & Gregor 2014 (1402.0030),
    eq. 8 and section 2.3.3, for choices one after another.

    `costs`: terms of KL[q ‖ p] that a choice determines together with earlier ones. Terms of earlier choices alone are
    left out: they add variance to the gradient but nothing to its mean.
    """
    return log_likelihood - costs.flip(0).cumsum(0).flip(0)


def score_function_surrogate(log_prob: PerChoice, signal: PerChoice, baseline: PerChoice) -> Float[Tensor, " B"]:
    """Σ_t log q(z_t) (l_t - b_t) with constant l and b: its gradient is an unbiased estimate of the gradient of E[l]
    through q. Mnih & Gregor 2014 (1402.0030), eq. 8.

    `baseline`: any function of the input and of earlier choices; the closer to the signal, the lower the variance.
    Differs from the paper: the centered signal is not divided by its running standard deviation, because bounds here
    also have gradients that do not come from this estimate, and a factor on one part changes the optimum.
    """
    return (log_prob * (signal - baseline).detach()).sum(0)


def baseline_error(signal: PerChoice, baseline: PerChoice, std: Float[Tensor, ""]) -> PerChoice:
    """((l_t - b_t) / std)², which the baseline's parameters minimize. Mnih & Gregor 2014 (1402.0030), eq. 7.

    Differs from the paper: in units of the signal's standard deviation, so that its size does not matter.
    """
    return ((signal.detach() - baseline) / std).square()
