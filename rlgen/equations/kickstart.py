"""Staying near a clone while values are still learned."""

from torch import Tensor


def kickstart_loss(acted: Tensor, cloned: Tensor, mean_value: float, weight: float) -> Tensor:
    """weight · mean |Q| · mean squared distance, [], of a policy's actions [B, A] from a clone's.

    Fujimoto & Gu 2021 (TD3+BC, 2106.06860), eqs. 3 and 4, divided by their λ = α / mean |Q|: α is 1 / weight, 2.5 in
    the paper, where the distance is from the data's actions. From a clone's, and with a weight that falls, it is the
    kickstarting of Schmitt et al. 2018 (1803.03835), eq. 2, for Gaussian policies of one deviation.
    """
    return weight * mean_value * (acted - cloned).square().mean()
