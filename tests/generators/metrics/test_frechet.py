"""FID against Gaussians known on paper, SciPy's matrix root and autograd-free optimal transport in one dimension."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators.metrics.scores import Gaussian, fitted_gaussian, frechet_distance, frechet_inception_distance


def covariance(size: int, rank: int, seed: int) -> Tensor:
    factor = torch.randn(size, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return factor @ factor.T


def test_between_diagonal_gaussians_it_is_the_distance_of_means_and_deviations() -> None:
    stds, others = torch.tensor([1.0, 2.0, 0.0]).double(), torch.tensor([4.0, 0.5, 3.0]).double()
    mean, other_mean = torch.tensor([1.0, 0.0, -1.0]).double(), torch.tensor([0.0, 2.0, 1.0]).double()
    found = frechet_distance(Gaussian(mean, stds.square().diag()), Gaussian(other_mean, others.square().diag()))
    # Dowson & Landau: for commuting covariances |m₁ - m₂|² + |σ₁ - σ₂|².
    assert float(found) == pytest.approx((1 + 4 + 4) + (9 + 2.25 + 9), rel=1e-13)


def test_it_is_that_of_scipys_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    one, other = covariance(12, 30, 0), covariance(12, 30, 1)
    means = torch.randn(2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    root = torch.from_numpy(linalg.sqrtm((one @ other).numpy()).real)
    expected = (means[0] - means[1]).square().sum() + (one + other - 2 * root).trace()
    found = frechet_distance(Gaussian(means[0], one), Gaussian(means[1], other))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


def test_of_rank_one_covariances_it_is_known_on_paper() -> None:
    # C = a aᵀ: tr (a aᵀ b bᵀ)^½ = |a · b|. Products of singular matrices are where sqrtm gives up.
    a, b = torch.tensor([3.0, 4.0, 0.0, 0.0]).double(), torch.tensor([1.0, 1.0, 5.0, 0.0]).double()
    zero = torch.zeros(4, dtype=torch.float64)
    found = frechet_distance(Gaussian(zero, torch.outer(a, a)), Gaussian(zero, torch.outer(b, b)))
    assert float(found) == pytest.approx(25 + 27 - 2 * 7, rel=1e-7)


@pytest.mark.parametrize("rank", [3, 64, 200])
def test_of_a_gaussian_to_itself_it_is_zero(rank: int) -> None:
    gaussian = Gaussian(torch.ones(64, dtype=torch.float64), covariance(64, rank, 0))
    distance = float(frechet_distance(gaussian, gaussian))
    assert 0 <= distance < 1e-11 * float(gaussian.covariance.trace())


def test_it_is_symmetric_and_turns_with_its_space() -> None:
    one = Gaussian(torch.zeros(6, dtype=torch.float64), covariance(6, 9, 0))
    other = Gaussian(torch.ones(6, dtype=torch.float64), covariance(6, 9, 1))
    turn, _ = torch.linalg.qr(covariance(6, 6, 2))
    turned = [Gaussian(turn @ each.mean, turn @ each.covariance @ turn.T) for each in (one, other)]
    distance = frechet_distance(one, other)
    torch.testing.assert_close(frechet_distance(other, one), distance)
    torch.testing.assert_close(frechet_distance(*turned), distance)


def test_in_one_dimension_it_is_the_squared_distance_of_optimal_transport() -> None:
    # W₂² = ∫ (Q₁ - Q₂)² over the quantiles.
    probs = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    quantile = math.sqrt(2) * torch.erfinv(2 * probs - 1)
    expected = ((1 + 2 * quantile) - (-0.5 + 0.7 * quantile)).square().mean()
    one = Gaussian(torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double())
    other = Gaussian(torch.tensor([-0.5]).double(), torch.tensor([[0.49]]).double())
    torch.testing.assert_close(frechet_distance(one, other), expected, rtol=1e-5, atol=0)


def test_the_fit_is_mean_and_unbiased_covariance() -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 1e3 + 1e4
    fitted = fitted_gaussian(rows)
    torch.testing.assert_close(fitted.covariance, torch.cov(rows.double().T), rtol=1e-12, atol=0)
    torch.testing.assert_close(fitted.mean, rows.double().mean(0))
    with pytest.raises(InputError, match="at least two"):
        fitted_gaussian(rows[:1])


def test_fid_of_moved_features_is_the_squared_move() -> None:
    rows = torch.randn(300, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = frechet_inception_distance(rows, rows + torch.tensor([3.0, 0, 0, 4.0, 0]))
    assert float(found) == pytest.approx(25, rel=1e-12)
