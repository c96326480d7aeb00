"""Merged moments against the moments of the joined sample, and against Welford's one number at a time."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from rlgen.equations.gaussians import merge_moments

numbers = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-1e3, 1e3))


def moments(rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance [2], count."""
    count = torch.tensor(float(len(rows)), dtype=torch.float64)
    return torch.as_tensor(rows.mean(0)), torch.as_tensor(rows.var(0)), count


@given(numbers, numbers)
def test_merged_moments_are_those_of_the_joined_sample(a: np.ndarray, b: np.ndarray) -> None:
    merged = merge_moments(*moments(a), *moments(b))
    for value, expected in zip(merged, moments(np.concatenate([a, b])), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-6)


@given(numbers, numbers)
def test_the_order_of_the_samples_does_not_matter(a: np.ndarray, b: np.ndarray) -> None:
    pairs = zip(merge_moments(*moments(a), *moments(b)), merge_moments(*moments(b), *moments(a)), strict=True)
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-6)


@given(numbers)
def test_row_by_row_it_is_welfords_recurrence(rows: np.ndarray) -> None:
    merged = moments(rows[:1])
    mean, sum_of_squares = rows[0].copy(), np.zeros(2)
    for count, row in enumerate(rows[1:], start=2):
        merged = merge_moments(*merged, *moments(row[None]))
        delta = row - mean
        mean += delta / count
        sum_of_squares += delta * (row - mean)
    torch.testing.assert_close(merged[0], torch.as_tensor(mean), rtol=1e-9, atol=1e-6)
    torch.testing.assert_close(merged[1], torch.as_tensor(sum_of_squares / len(rows)), rtol=1e-9, atol=1e-6)


def test_an_empty_first_sample_counts_for_nothing() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 6.0]])
    nothing = torch.full((2,), 7.0, dtype=torch.float64), torch.ones(2, dtype=torch.float64), torch.zeros(()).double()
    mean, var, count = merge_moments(*nothing, *moments(rows))
    assert (mean.tolist(), var.tolist(), float(count)) == ([2, 4], [1, 4], 2)
