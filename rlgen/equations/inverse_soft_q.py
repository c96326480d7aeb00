"""Inverse soft Q-learning as a regression of the critics to targets that are known in advance.

IQ-Learn (Garg et al. 2021, 2106.12142) maximizes over critics, with the implicit reward r = Q(s, a) - γ V(s'),

    E_expert[r] - E_policy[r] - c/2 (E_expert[r²] + E_policy[r²]),    c = 1 / (4α).

Completing the squares, that is the least-squares regression of r to 1/c on the expert's rows and to -1/c on the
policy's. Al-Hafez et al. 2023 (LS-IQ, 2303.00599), section 3.1.
"""

from jaxtyping import Bool, Float
from torch import Tensor

Rows = Float[Tensor, "B 1"]


def inverse_soft_q_reward(expert: Bool[Tensor, "B 1"], regularization: float) -> Rows:
    """The reward that the implicit one is regressed to: 1/c for expert rows, -1/c for the policy's, c the weight of
    the χ² regularizer. Al-Hafez et al. 2023 (2303.00599), section 3.1."""
    return (2.0 * expert.float() - 1.0) / regularization


def highest_value(regularization: float, gamma: float) -> float:
    """1 / (c (1 - γ)): the value of a policy that always has the highest reward, 1/c; minus it is the lowest. Targets
    are clipped to this range, and it is the expert's own value. Al-Hafez et al. 2023 (2303.00599), sections 3.2 and
    3.3."""
    return 1.0 / (regularization * (1.0 - gamma))


def inverse_soft_q_target(reward: Rows, next_value: Rows, terminated: Rows, gamma: float) -> Rows:
    """r + γ V(s'), or r / (1 - γ) where the episode terminated: an absorbing state that is entered there has the same
    reward for ever. Al-Hafez et al. 2023 (2303.00599), section 3.4."""
    return reward + gamma * ((1.0 - terminated) * next_value + terminated * reward / (1.0 - gamma))
