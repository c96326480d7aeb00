"""Absorbing states: an episode that the task ends goes on for ever in one state with the same reward every step.

Kostrikov et al. 2019 (DAC, 1809.02925), section 4.2. There the state is added to the environment, and the critic learns
its value. It has no choice left, so its value is known, and neither environment nor policy need to know of it. How
much more often the expert is in it than the policy is known too, so a discriminator need not learn it.
"""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

Number = TypeVar("Number", float, Float[Tensor, "..."])
Ends = Float[Tensor, "*batch"]


def absorbing_return(reward: Number, gamma: float) -> Number:
    """γ r + γ² r + … = γ r / (1 - γ): what follows, seen from the step that enters the absorbing state, if every step
    in it has `reward`. Added to the reward of that step it has the same returns as the state itself. Kostrikov
    et al. 2019 (1809.02925), section 4.2."""
    return reward * (gamma / (1 - gamma))


def end_rate(ends: Number, steps: Number | float) -> Number:
    """Share of steps that end an episode, (ends + ½) / (steps + 1): neither 0 nor 1, so that log-ratios are finite.
    Krichevsky & Trofimov 1981, "The performance of universal encoding"."""
    return (ends + 0.5) / (steps + 1)


def absorbing_occupancy(rate: Number, gamma: float) -> Number:
    """γ e / (1 - γ + γ e): the share of the discounted occupancy (1 - γ) Σ γ^t P(s_t) that lies in the absorbing state,
    where the share e = `rate` of the steps outside enters it. The occupancy is that of Ho & Ermon 2016 (1606.03476),
    section 2; the state that of Kostrikov et al. 2019 (1809.02925), section 4.2."""
    return gamma * rate / (1 - gamma + gamma * rate)


def outside_log_ratio(expert_rate: Ends, policy_rate: Ends, gamma: float) -> Ends:
    """log of the expert's occupancy outside the absorbing state over the policy's, nats, from their `end_rate`. Added
    to the log-ratio of transitions, of which none is in the absorbing state, it gives the log-ratio of the occupancies
    of Ho & Ermon 2016 (1606.03476), section 2."""
    return torch.log1p(-absorbing_occupancy(expert_rate, gamma)) - torch.log1p(-absorbing_occupancy(policy_rate, gamma))


def absorbing_log_ratio(expert_rate: Ends, policy_rate: Ends, gamma: float) -> Ends:
    """log of the expert's occupancy of the absorbing state over the policy's, nats, from their `end_rate`: what the
    discriminator of Kostrikov et al. 2019 (1809.02925) learns of that state."""
    return torch.log(absorbing_occupancy(expert_rate, gamma) / absorbing_occupancy(policy_rate, gamma))
