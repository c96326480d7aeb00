"""Running moments."""

from jaxtyping import Float
from torch import Tensor

Vector = Float[Tensor, "*shape"]
Scalar = Float[Tensor, ""]


def merge_moments(
    mean_a: Vector, var_a: Vector, count_a: Scalar, mean_b: Vector, var_b: Vector, count_b: Scalar
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, (population) variance and count of the union of two samples. Chan, Golub & LeVeque 1979, eq. 2.1."""
    count = count_a + count_b
    delta = mean_b - mean_a
    mean = mean_a + delta * (count_b / count)
    sum_of_squares = var_a * count_a + var_b * count_b + delta.square() * (count_a * count_b / count)
    return mean, sum_of_squares / count, count
