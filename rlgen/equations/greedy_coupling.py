"""Primal Wasserstein imitation learning (PWIL): an episode is coupled with the demonstrations step by step, greedily.
Dadashi et al. 2021 (2006.04678)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Transport(NamedTuple):
    """What one step of N episodes takes from the demonstrations."""

    cost: Float[Tensor, " N"]
    """Mass times distance."""
    mass: Float[Tensor, " N"]
    """Mass that was found; less than asked only where the demonstrations are used up."""
    left: Float[Tensor, "N D"]
    """Mass that remains in each demonstrated row."""


def greedy_transport(distance: Float[Tensor, "N D"], left: Float[Tensor, "N D"], mass: float) -> Transport:
    """Takes `mass` from the nearest demonstrated rows that have some `left`, each to its end before the next: one step
    of the greedy coupling. The sum of the costs of an episode is an upper bound of the Wasserstein distance. Dadashi
    et al. 2021 (2006.04678), Algorithm 1, lines 7 to 16."""
    order = distance.argsort(dim=1, stable=True)
    available = left.gather(1, order)
    before = available.cumsum(1) - available
    taken = (mass - before).clamp(min=0).minimum(available)
    cost = (taken * distance.gather(1, order)).sum(1)
    return Transport(cost, taken.sum(1), left.scatter(1, order, available - taken))


def coupling_reward(
    cost: Float[Tensor, " N"], horizon: int, size: int, scale: float, rate: float
) -> Float[Tensor, " N"]:
    """r = α exp(-β T c / √(|S| + |A|)), with α = `scale`, β = `rate`, T = `horizon` in steps and `size` numbers in a
    demonstrated row. Dadashi et al. 2021 (2006.04678), equation 6 and section 4.1."""
    return scale * torch.exp(-rate * horizon * cost / size**0.5)
