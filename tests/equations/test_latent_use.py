"""Active units and mutual information of latents, against hand-made posteriors, quadrature and torch.distributions."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from rlgen.equations.latent_use import active_units, activity, aggregate_mutual_information


def test_active_units_of_a_posterior_made_by_hand() -> None:
    rows = torch.arange(200) % 2 * 2.0 - 1  # -1, 1, ...
    mean = torch.stack([0.2 * rows, 0.11 * rows, 0.09 * rows, torch.full((200,), 5.0)], 1)
    torch.testing.assert_close(activity(mean), torch.tensor([0.04, 0.0121, 0.0081, 0.0]))
    assert int(active_units(mean)) == 2
    assert int(active_units(mean, threshold=0.001)) == 3


def test_activity_is_the_covariance_of_numpy() -> None:
    mean = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    covariance = np.cov(mean.numpy().T, ddof=0)
    np.testing.assert_allclose(activity(mean).numpy(), np.diag(covariance), rtol=1e-5)


def test_information_is_that_of_a_mixture_by_quadrature() -> None:
    centers, stds = np.array([-1.0, 0.2, 1.5]), np.array([0.5, 1.0, 0.3])
    grid = np.linspace(-8, 8, 20_001)
    densities = np.exp(-(((grid - centers[:, None]) / stds[:, None]) ** 2) / 2) / (
        stds[:, None] * math.sqrt(2 * math.pi)
    )
    mixture = densities.mean(0)
    expected = np.trapezoid((densities * np.log((densities + 1e-300) / mixture)).mean(0), grid)
    copies = 1_000  # of each row: the aggregate is the same, and there are as many draws
    mean = torch.tensor(centers).repeat(copies)[:, None]
    std = torch.tensor(stds).repeat(copies)[:, None]
    z = mean + std * torch.randn(mean.shape, dtype=mean.dtype, generator=torch.Generator().manual_seed(0))
    assert float(aggregate_mutual_information(z, mean, std)) == pytest.approx(expected, abs=0.04)


def test_information_is_that_of_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.randn(90, 4, generator=generator).double(), torch.rand(90, 4, generator=generator).double() + 0.2
    z = mean + std * torch.randn(90, 4, generator=generator).double()
    each = Independent(Normal(mean, std), 1)
    aggregate = MixtureSameFamily(Categorical(torch.ones(90, dtype=torch.float64)), each)
    expected = (each.log_prob(z) - aggregate.log_prob(z)).mean()
    torch.testing.assert_close(aggregate_mutual_information(z, mean, std), expected)


def test_equal_posteriors_have_no_information_and_distant_ones_all_of_it() -> None:
    z = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    nothing = aggregate_mutual_information(z, torch.zeros(16, 2), torch.ones(16, 2))
    torch.testing.assert_close(nothing, torch.tensor(0.0), atol=1e-5, rtol=0)
    mean = 100 * torch.arange(16.0)[:, None].expand(-1, 2)
    torch.testing.assert_close(
        aggregate_mutual_information(mean + z, mean, torch.ones(16, 2)), torch.tensor(math.log(16))
    )
