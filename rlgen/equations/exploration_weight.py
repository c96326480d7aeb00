"""The weight of an exploration bonus as a Lagrange multiplier."""

from jaxtyping import Float
from torch import Tensor

Scalar = Float[Tensor, ""]


def dual_log_weight(log_weight: Scalar, gain: Scalar, earlier: Float[Tensor, " K"], step_size: float) -> Scalar:
    """log η of the weight η of a bonus after a step of gradient descent on log η · (log g - mean log g_k), [].

    Sukhija et al. 2024 (MaxInfoRL, 2412.12098), automatic tuning of the temperature of the information gain: the
    multiplier of the constraint that the policy gains at least as much information as a target policy, a Polyak average
    of itself. `gain` g is the mean bonus of transitions of the policy, `earlier` g_k that of transitions of each of K
    earlier policies, all above 0 and by the same model: η rises while the policy gains less than they did.

    Differs from the paper: transitions of the earlier policies stand for the actions of their Polyak average in the
    same states, because most bonuses read the next state, which an environment gives only for actions that were taken;
    logarithms of the gains instead of gains normalized to unit variance, because the unit of a bonus then cancels;
    plain gradient descent instead of Adam, whose steps are as large where the difference is noise.
    """
    return log_weight - step_size * (gain.log() - earlier.log().mean())
