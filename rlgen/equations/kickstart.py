"""Staying near a clone while values are still learned."""

from torch import Tensor


def kickstart_loss(acted: Tensor, cloned: Tensor, slope: Tensor | float, weight: float) -> Tensor:
    """weight · slope · √A · mean (a - c)², [], of a policy's actions a [B, A] from a clone's c.

    `slope` is the mean length of ∂Q/∂a over states. An actor that minimizes this - mean Q, with values Q that are
    linear in the action, is at a root-mean-square distance of 1 / (2 · weight) from its clone wherever the slope is
    the mean one, whatever the scale of rewards.

    A clone's actions instead of the data's make this the kickstarting of Schmitt et al. 2018 (1803.03835), eq. 2, for
    Gaussian policies of one deviation. Fujimoto & Gu 2021 (TD3+BC, 2106.06860), eqs. 3 and 4, have mean |Q| instead of
    the slope, which differs from it as soon as rewards have a mean or both signs.
    """
    return weight * slope * acted.shape[1] ** 0.5 * (acted - cloned).square().mean()
