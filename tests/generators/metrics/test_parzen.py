"""Parzen windows against torch.distributions' mixtures and quadrature; the width is chosen without the test images."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from rlgen.errors import InputError
from rlgen.generators.metrics import log_likelihood as module
from rlgen.generators.metrics.log_likelihood import SIGMAS, parzen, parzen_log_prob


def rows(seed: int, count: int, width: int = 5) -> Tensor:
    return torch.rand(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_it_is_the_mixture_of_torch_distributions(monkeypatch: pytest.MonkeyPatch, sigma: float) -> None:
    monkeypatch.setattr(module, "PIECE", 4)
    samples, points = rows(0, 30), rows(1, 11)
    mixture = MixtureSameFamily(
        Categorical(logits=torch.zeros(30, dtype=torch.float64)), Independent(Normal(samples, sigma), 1)
    )
    torch.testing.assert_close(parzen_log_prob(samples, points, sigma), mixture.log_prob(points))


def test_its_density_integrates_to_one() -> None:
    grid = torch.linspace(-3, 4, 20_001, dtype=torch.float64)
    density = parzen_log_prob(rows(0, 20, 1), grid[:, None], 0.2).exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1, abs=1e-9)


def test_images_far_from_all_samples_keep_a_finite_log_likelihood() -> None:
    found = parzen_log_prob(torch.zeros(3, 784), torch.ones(1, 784), 0.01)
    assert float(found) == pytest.approx(-784 / (2 * 1e-4) - 784 * math.log(0.01 * math.sqrt(2 * math.pi)), rel=1e-12)


def test_the_width_is_the_one_that_validation_likes_best() -> None:
    samples, validation, test = rows(0, 60), rows(1, 50), rows(2, 40)
    found = parzen(samples, validation, test)
    means = {sigma: float(parzen_log_prob(samples, validation, sigma).mean()) for sigma in SIGMAS}
    assert found.sigma == max(means, key=means.__getitem__)
    assert min(SIGMAS) < found.sigma < max(SIGMAS), "else the grid decides"
    log_probs = parzen_log_prob(samples, test, found.sigma)
    assert found.log_likelihood == pytest.approx(float(log_probs.mean()))
    assert found.standard_error == pytest.approx(float(log_probs.std()) / 40**0.5)


def test_the_test_images_do_not_choose_the_width() -> None:
    samples, validation = rows(0, 60), rows(1, 50)
    # Test images that are the samples themselves would ask for the narrowest window.
    assert parzen(samples, validation, samples).sigma == parzen(samples, validation, rows(2, 40)).sigma > min(SIGMAS)


def test_the_widths_run_from_a_tenth_to_one() -> None:
    torch.testing.assert_close(torch.tensor(SIGMAS), torch.logspace(-1, 0, 10))


def test_no_samples_and_no_widths_are_refused() -> None:
    with pytest.raises(InputError, match="0 and 2"):
        parzen_log_prob(torch.zeros(0, 3), torch.zeros(2, 3), 0.1)
    with pytest.raises(InputError, match="positive widths"):
        parzen(rows(0, 3), rows(1, 3), rows(2, 3), sigmas=[0.1, 0.0])
