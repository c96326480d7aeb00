"""Running statistics."""

from jaxtyping import Float
from torch import Tensor

Numbers = Float[Tensor, "*#shape"]


def merge_moments(
    mean_a: Numbers, var_a: Numbers, count_a: Numbers, mean_b: Numbers, var_b: Numbers, count_b: Numbers
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, (population) variance and count of the union of two samples; the shapes broadcast. Chan, Golub & LeVeque
    1979, eq. 2.1.

    >>> from torch import ones
    >>> one = ones(())
    >>> merge_moments(0 * one, 0 * one, one, 2 * one, 0 * one, one)  # the samples 0 and 2
    (tensor(1.), tensor(1.), tensor(2.))
    """
    count = count_a + count_b
    delta = mean_b - mean_a
    mean = mean_a + delta * (count_b / count)
    sum_of_squares = var_a * count_a + var_b * count_b + delta.square() * (count_a * count_b / count)
    return mean, sum_of_squares / count, count


def warmed_up_decay(decay: float, merges: int) -> float:
    """min(decay, (1 + n) / (10 + n)), with n = `merges` the number of earlier updates. A small decay at the start keeps
    the initial weights from dominating a short training. TensorFlow's ExponentialMovingAverage (Abadi et al. 2016,
    1603.04467)."""
    return min(decay, (1 + merges) / (10 + merges))
