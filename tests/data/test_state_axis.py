"""An axis reads one number of the observation, and ends only where that has room between its bounds."""

from math import inf, nan, pi

import numpy as np
import pytest

from rlgen.data.visits import Axis, axes_within
from rlgen.errors import InputError


def test_an_angle_is_read_from_its_sine_and_cosine() -> None:
    axis = Axis(name="angle", columns=(1, 2), width=pi / 4, low=-pi, high=pi)
    angles = np.array([-0.9 * pi, -0.1, 0.1, 0.9 * pi])
    states = np.stack([np.zeros(4), np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(axis.values(states), angles)


def test_any_flat_observation_has_axes_within_its_bounds() -> None:
    low, high = np.array([-1.2, -np.inf, 0], np.float32), np.array([0.6, np.inf, 1], np.float32)
    first, second = axes_within(low, high)
    assert (first.low, first.high) == (pytest.approx(-1.2), pytest.approx(0.6))
    assert second.low is None
    assert len(axes_within(-np.ones(1), np.ones(1))) == 1


def test_a_number_without_room_between_its_bounds_has_no_ends() -> None:
    constant, bounded = axes_within(np.array([2.0, 0.0]), np.array([2.0, 1.0]))
    assert (constant.low, constant.high) == (None, None)
    assert (bounded.low, bounded.high) == (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": ()},
        {"columns": (0, 1, 2)},
        {"low": 1.0},
        {"low": 1.0, "high": 1.0},
        {"low": 1.0, "high": 0.0},
        {"low": 0.0, "high": inf},
        {"width": 0.0},
        {"width": -1.0},
        {"width": nan},
    ],
    ids=str,
)
def test_axes_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Axis(**{"name": "x", "columns": (0,), **wrong})
