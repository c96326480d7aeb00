"""The warm-up of a moving average."""

import pytest

from rlgen.equations.gaussians import warmed_up_decay


def test_the_first_weights_keep_a_tenth_and_the_decay_is_reached() -> None:
    assert warmed_up_decay(0.99, 0) == pytest.approx(0.1)
    assert warmed_up_decay(0.99, 8) == pytest.approx(0.5)
    assert warmed_up_decay(0.99, 890) == pytest.approx(0.99)
    assert warmed_up_decay(0.99, 10_000) == 0.99
    assert warmed_up_decay(0.0, 5) == 0.0
