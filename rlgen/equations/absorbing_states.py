"""Absorbing states: an episode that the task ends goes on for ever in one state with the same reward every step.

Kostrikov et al. 2019 (DAC, 1809.02925), section 4.2. There the state is added to the environment, and the critic learns
its value. It has no choice left, so its value is known, and neither environment nor policy need to know of it.
"""

from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

Number = TypeVar("Number", float, Float[Tensor, "..."])


def absorbing_return(reward: Number, gamma: float) -> Number:
    """γ r + γ² r + … = γ r / (1 - γ): what follows, seen from the step that enters the absorbing state, if every step
    in it has `reward`. Added to the reward of that step it has the same returns as the state itself. Kostrikov
    et al. 2019 (1809.02925), section 4.2."""
    return reward * (gamma / (1 - gamma))


def absorbing_share(entries: Number, rows: Number | float, stride: int = 1) -> Number:
    """Share of absorbing rows among all rows if each of `entries` into the absorbing state adds one to the `rows`.

    Rows that stand for `stride` steps each weigh as many times as much as a row of the absorbing state, which stands
    for one: the weight 1/20 of the code of Kostrikov et al. 2019 (1809.02925) at a stride of 20.
    """
    return entries / (entries + rows * stride)
