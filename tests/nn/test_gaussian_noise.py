"""Noise between layers."""

import pytest
import torch

from rlgen.errors import InputError
from rlgen.nn import GaussianNoise


def test_noise_of_the_deviation_is_added_in_training_alone() -> None:
    torch.manual_seed(0)
    x = torch.full((100, 1_000), 3.0)
    layer = GaussianNoise(0.5)
    added = layer(x) - x
    # 100,000 draws: standard errors 0.0016 of the mean and 0.0011 of the deviation.
    assert added.mean().item() == pytest.approx(0, abs=0.007)
    assert added.std().item() == pytest.approx(0.5, abs=0.005)
    assert layer.eval()(x) is x
    assert GaussianNoise(0.0)(x) is x


def test_a_negative_deviation_is_refused() -> None:
    with pytest.raises(InputError, match="deviation"):
        GaussianNoise(-1.0)
