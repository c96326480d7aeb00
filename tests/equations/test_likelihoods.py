"""Likelihoods against torch.distributions, sums over all outcomes, quadrature and counting."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal

from rlgen.equations.likelihoods import (
    bernoulli_log_prob,
    categorical_log_prob,
    diagonal_gaussian_log_prob,
    discretized_gaussian_log_prob,
    discretized_logistic_mixture_log_prob,
    discretized_logistic_mixture_mean,
    discretized_logistic_mixture_sample,
)
from rlgen.errors import InputError


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def all_events(values: int, count: int) -> Tensor:
    """[values^count, count]"""
    return torch.tensor(list(itertools.product(range(values), repeat=count)), dtype=torch.float64)


def test_bernoulli_is_that_of_torch_distributions_for_every_sample_and_row() -> None:
    logit = normal(3, 5, 1, 2, 2)
    x = (normal(5, 1, 2, 2, seed=1) > 0).double()
    expected = Bernoulli(logits=logit).log_prob(x).flatten(2).sum(-1)
    torch.testing.assert_close(bernoulli_log_prob(x, logit), expected, rtol=1e-12, atol=0)


def test_bernoulli_probabilities_of_all_images_sum_to_one() -> None:
    total = bernoulli_log_prob(all_events(2, 4), normal(4).expand(16, -1)).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-12)


def test_a_grey_pixel_is_the_mean_of_its_black_and_white_ones() -> None:
    logit, grey = normal(1, 1), torch.tensor([[0.3]], dtype=torch.float64)
    white, black = (bernoulli_log_prob(torch.full_like(grey, value), logit) for value in (1.0, 0.0))
    torch.testing.assert_close(bernoulli_log_prob(grey, logit), 0.3 * white + 0.7 * black)


def test_extreme_logits_have_finite_bernoulli_likelihoods() -> None:
    x = torch.tensor([[0.0], [1.0]])
    assert bernoulli_log_prob(x, torch.tensor([[1e4], [1e4]])).tolist() == [-1e4, 0.0]


def test_the_diagonal_gaussian_is_that_of_torch_distributions() -> None:
    x, mean, std = normal(5, 3), normal(2, 5, 3, seed=1), normal(3, seed=2).exp()
    torch.testing.assert_close(diagonal_gaussian_log_prob(x, mean, std), Normal(mean, std).log_prob(x).sum(-1))
    torch.testing.assert_close(diagonal_gaussian_log_prob(x, mean, 0.7), Normal(mean, 0.7).log_prob(x).sum(-1))


def test_the_diagonal_gaussian_integrates_to_one() -> None:
    grid = torch.linspace(-9, 9, 401, dtype=torch.float64)
    x = torch.cartesian_prod(grid, grid)
    mean, std = torch.tensor([0.3, -0.5]).double().expand_as(x), torch.tensor([0.4, 1.1]).double()
    density = diagonal_gaussian_log_prob(x, mean, std).exp().reshape(401, 401)
    assert torch.trapezoid(torch.trapezoid(density, grid), grid).item() == pytest.approx(1, abs=1e-9)


def test_categorical_is_that_of_torch_distributions_for_pixels_and_labels() -> None:
    logits = normal(2, 5, 3, 3, 4)
    x = torch.randint(4, (5, 3, 3), generator=torch.Generator().manual_seed(0))
    expected = Categorical(logits=logits).log_prob(x).flatten(2).sum(-1)
    torch.testing.assert_close(categorical_log_prob(x, logits), expected)
    labels = x[:, 0, 0]
    torch.testing.assert_close(
        categorical_log_prob(labels, logits[0, :, 0, 0]), Categorical(logits=logits[0, :, 0, 0]).log_prob(labels)
    )


def test_categorical_probabilities_of_all_events_sum_to_one() -> None:
    x = all_events(3, 3).long()
    assert categorical_log_prob(x, normal(3, 3).expand(27, -1, -1)).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("spread", [-9.0, -3.0, 0.0, 3.0])
def test_probabilities_of_all_levels_of_a_grey_pixel_sum_to_one(spread: float) -> None:
    params = normal(12, 1, 1)
    params[8:] += spread  # logarithms of scales
    x = (torch.arange(256, dtype=torch.float64) / 255)[:, None, None, None]
    log_prob = discretized_logistic_mixture_log_prob(x, params.expand(256, -1, -1, -1))
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_probabilities_of_all_colors_of_a_pixel_sum_to_one() -> None:
    x = (all_events(12, 3) / 11)[..., None, None]
    log_prob = discretized_logistic_mixture_log_prob(x, normal(20, 1, 1).expand(len(x), -1, -1, -1), levels=12)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


def logistic_density(x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return 1 / (4 * scale * torch.cosh((x - mean) / (2 * scale)).square())


def test_a_level_has_the_integral_of_the_density_over_its_bin() -> None:
    params, levels = normal(6, 1, 1), 16
    share, mean, scale = params[:2, 0, 0].softmax(0), params[2:4, 0, 0], params[4:, 0, 0].exp()
    centers = torch.linspace(-1, 1, levels, dtype=torch.float64)
    low, high = centers - 1 / (levels - 1), centers + 1 / (levels - 1)
    low[0], high[-1] = -400, 400
    for level in range(levels):
        grid = torch.linspace(low[level].item(), high[level].item(), 200_001, dtype=torch.float64)
        density = sum(share[m] * logistic_density(grid, mean[m], scale[m]) for m in range(2))
        expected = torch.trapezoid(density, grid).log().item()
        x = torch.full((1, 1, 1, 1), level / (levels - 1), dtype=torch.float64)
        ours = discretized_logistic_mixture_log_prob(x, params[None], levels).item()
        assert ours == pytest.approx(expected, abs=1e-5), level


def test_colors_move_the_means_of_those_after_them() -> None:
    # One logistic, coefficients so large that tanh is 1: green's mean moves by red, blue's by red plus green.
    mean, log_scale = [0.1, -0.2, 0.3], [-1.0, -1.5, -0.5]
    params = torch.tensor([0.0, *mean, *log_scale, 50.0, 50.0, 50.0], dtype=torch.float64)[None, :, None, None]
    x = torch.tensor([0.2, 0.6, 0.8], dtype=torch.float64)[None, :, None, None]
    red, green, blue = (2 * x.flatten() - 1).tolist()

    def grey(value: float, center: float, spread: float) -> float:
        single = torch.tensor([0.0, center, spread], dtype=torch.float64)[None, :, None, None]
        pixel = torch.full((1, 1, 1, 1), (value + 1) / 2, dtype=torch.float64)
        return discretized_logistic_mixture_log_prob(pixel, single).item()

    expected = grey(red, 0.1, -1.0) + grey(green, -0.2 + red, -1.5) + grey(blue, 0.3 + red + green, -0.5)
    assert discretized_logistic_mixture_log_prob(x, params).item() == pytest.approx(expected, rel=1e-12)


def test_far_from_every_mean_the_likelihood_and_its_gradient_stay_finite() -> None:
    params = torch.tensor([0.0, -1.0, -20.0])[None, :, None, None].requires_grad_()
    for value in (0.0, 0.5, 1.0):
        log_prob = discretized_logistic_mixture_log_prob(torch.full((1, 1, 1, 1), value), params)
        (gradient,) = torch.autograd.grad(log_prob.sum(), params)
        assert log_prob.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("log_scale", [-110.0, -90.0, 90.0, 110.0])
@pytest.mark.parametrize("value", [0.0, 128 / 255, 1.0])
def test_absurd_scales_have_finite_likelihoods_means_and_gradients(log_scale: float, value: float) -> None:
    params = torch.tensor([0.0, 0.1, log_scale])[None, :, None, None].requires_grad_()
    log_prob = discretized_logistic_mixture_log_prob(torch.full((1, 1, 1, 1), value), params)
    mean = discretized_logistic_mixture_mean(params, 1)
    for number in (log_prob, mean):
        (gradient,) = torch.autograd.grad(number.sum(), params)
        assert number.isfinite().all()
        assert gradient.isfinite().all()


def test_scales_beyond_the_narrowest_and_the_widest_count_as_these() -> None:
    x = torch.full((1, 1, 1, 1), 128 / 255)
    for beyond, limit in ((-20.0, -7.0), (20.0, 7.0)):
        found = [
            discretized_logistic_mixture_log_prob(x, torch.tensor([0.0, 0.05, scale])[None, :, None, None])
            for scale in (beyond, limit)
        ]
        assert torch.equal(*found)


def test_an_image_is_the_product_of_its_pixels_for_every_sample() -> None:
    x, params = torch.rand(2, 1, 3, 4).double(), normal(5, 2, 6, 3, 4)
    whole = discretized_logistic_mixture_log_prob(x, params)
    pixels = torch.zeros(5, 2).double()
    for row, column in itertools.product(range(3), range(4)):
        here = (..., slice(row, row + 1), slice(column, column + 1))
        pixels += discretized_logistic_mixture_log_prob(x[here], params[here])
    torch.testing.assert_close(whole, pixels)


@pytest.mark.parametrize(("channels", "each"), [(1, 3), (3, 10)])
def test_samples_are_as_frequent_as_probable(channels: int, each: int) -> None:
    levels, count = 3, 200_000
    params = 0.7 * normal(2 * each, 1, 1)
    drawn = discretized_logistic_mixture_sample(
        params.expand(count, -1, -1, -1), channels, levels, torch.Generator().manual_seed(1)
    )
    events = all_events(levels, channels)
    x = (events / (levels - 1))[..., None, None]
    prob = discretized_logistic_mixture_log_prob(x, params.expand(len(x), -1, -1, -1), levels).exp()
    met = (drawn.flatten(1) * (levels - 1)).round() @ torch.tensor([3.0, 9.0, 27.0][:channels]).double()
    keys = events @ torch.tensor([3.0, 9.0, 27.0][:channels]).double()
    share = torch.stack([(met == key).double().mean() for key in keys])
    assert (share - prob).abs().max().item() < 5 * math.sqrt(0.25 / count), "five standard deviations of a share"


@pytest.mark.parametrize("spread", [-9.0, -3.0, 0.0, 3.0])
def test_the_mean_of_a_grey_pixel_is_that_of_its_levels_but_for_rounding(spread: float) -> None:
    params = normal(60, 12, 1, 1)
    params[:, 8:] += spread
    levels = torch.arange(256, dtype=torch.float64) / 255
    x = levels[:, None, None, None].expand(-1, 60, -1, -1).flatten(0, 1)[:, None]
    prob = discretized_logistic_mixture_log_prob(x, params.repeat(256, 1, 1, 1)).exp().reshape(256, 60)
    ours = discretized_logistic_mixture_mean(params, 1).flatten()
    assert (ours - levels @ prob).abs().max().item() <= 0.5 / 255 + 1e-12


def test_the_mean_counts_what_is_beyond_black_and_white_as_these() -> None:
    params = normal(6, 1, 1)
    share, mean, scale = params[:2, 0, 0].softmax(0), params[2:4, 0, 0], params[4:, 0, 0].exp()
    grid = torch.linspace(-400, 400, 2_000_001, dtype=torch.float64)
    density = sum(share[m] * logistic_density(grid, mean[m], scale[m]) for m in range(2))
    expected = (torch.trapezoid(density * grid.clamp(-1, 1), grid).item() + 1) / 2
    assert discretized_logistic_mixture_mean(params, 1).item() == pytest.approx(expected, abs=1e-7)


def test_means_of_colors_are_those_of_samples() -> None:
    params, count = 0.3 * normal(20, 1, 1), 100_000
    params[8:14] -= 3.0  # two logistics, so narrow that nothing is beyond black and white
    drawn = discretized_logistic_mixture_sample(
        params.expand(count, -1, -1, -1), 3, 256, torch.Generator().manual_seed(1)
    )
    error = drawn.std(0) / math.sqrt(count)
    ours = discretized_logistic_mixture_mean(params, 3)
    assert ((ours - drawn.mean(0)).abs() < 5 * error).all()


def test_a_colors_mean_moves_by_the_means_of_those_before_it() -> None:
    mean, coefficient = [0.1, -0.2, 0.3], [0.5, -0.4, 0.2]
    params = torch.tensor([0.0, *mean, -9.0, -9.0, -9.0, *coefficient], dtype=torch.float64)[:, None, None]
    red, green = mean[0], mean[1] + math.tanh(0.5) * mean[0]
    blue = mean[2] + math.tanh(-0.4) * red + math.tanh(0.2) * green
    ours = 2 * discretized_logistic_mixture_mean(params, 3).flatten() - 1
    assert ours.tolist() == pytest.approx([red, green, blue], rel=1e-12)


def test_parameters_that_do_not_fit_the_channels_are_refused() -> None:
    with pytest.raises(InputError, match="10 parameters"):
        discretized_logistic_mixture_log_prob(torch.zeros(1, 3, 1, 1), torch.zeros(1, 12, 1, 1))
    with pytest.raises(InputError, match="10 parameters"):
        discretized_logistic_mixture_sample(torch.zeros(20, 1, 1), 2)


@pytest.mark.parametrize("std", [1e-3, 0.02, 0.5, 3.0])
@pytest.mark.parametrize("mean", [-1.2, -1.0, 0.013, 0.9])
def test_probabilities_of_all_levels_of_a_gaussian_sum_to_one(mean: float, std: float) -> None:
    levels = torch.arange(256, dtype=torch.float64)[:, None] / 255
    found = discretized_gaussian_log_prob(levels, torch.full_like(levels, mean), std)
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_level_of_a_gaussian_has_the_integral_over_its_width() -> None:
    levels = torch.tensor([[3.0, 100.0], [127.0, 200.0]], dtype=torch.float64) / 255
    gaussian, stretched = Normal(torch.tensor(0.1, dtype=torch.float64), 0.4), 2 * levels - 1
    expected = (gaussian.cdf(stretched + 1 / 255) - gaussian.cdf(stretched - 1 / 255)).log().sum(1)
    torch.testing.assert_close(discretized_gaussian_log_prob(levels, torch.full_like(levels, 0.1), 0.4), expected)


def test_a_level_far_from_a_narrow_gaussian_has_a_finite_probability_on_either_side() -> None:
    levels, mean = torch.tensor([[10.0], [245.0]]) / 255, torch.zeros(2, 1)
    found = discretized_gaussian_log_prob(levels, mean, 0.01)
    assert found.isfinite().all()
    torch.testing.assert_close(found[0], found[1])
