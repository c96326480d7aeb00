"""Running moments, and what of them is typical."""

import torch
from jaxtyping import Float
from torch import Tensor

Numbers = Float[Tensor, "*#shape"]


def merge_moments(
    mean_a: Numbers, var_a: Numbers, count_a: Numbers, mean_b: Numbers, var_b: Numbers, count_b: Numbers
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, (population) variance and count of the union of two samples, broadcast. Chan, Golub & LeVeque 1979, eq.
    2.1."""
    count = count_a + count_b
    delta = mean_b - mean_a
    mean = mean_a + delta * (count_b / count)
    sum_of_squares = var_a * count_a + var_b * count_b + delta.square() * (count_a * count_b / count)
    return mean, sum_of_squares / count, count


VARIES = 1e-6
"""Fraction of a feature's mean and of the largest standard deviation below which a feature counts as constant: some
ten times the rounding of float32."""


def typical_std(mean: Float[Tensor, " O"], std: Float[Tensor, " O"]) -> Float[Tensor, ""]:
    """Median standard deviation of the features that vary at all, in their unit; 1 where none does."""
    varies = (std > VARIES * mean.abs()) & (std > VARIES * std.max())
    return torch.where(varies, std, torch.nan).nanmedian().nan_to_num(nan=1.0)
