"""Diagonal Gaussians, elementwise (sum over the dimension that holds one distribution), and running statistics."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Numbers = Float[Tensor, "..."]


def gaussian_log_prob(x: Numbers, mean: Numbers, std: Numbers | float) -> Numbers:
    """log N(x; mean, std²), nats, elementwise; the shapes broadcast. Gauss 1809, Theoria motus, §177.

    >>> gaussian_log_prob(torch.zeros(1), torch.zeros(1), std=1.0)  # -½ log 2π
    tensor([-0.9189])
    """
    std = _like(x, std)
    return -0.5 * ((x - mean) / std).square() - (std.log() + 0.5 * math.log(2 * math.pi))


def gaussian_score(x: Numbers, mean: Numbers, std: Numbers | float) -> Numbers:
    """(x - mean) / std²: the derivative of `gaussian_log_prob` with respect to the mean. Fisher 1925, Theory of
    statistical estimation."""
    precision = _like(x, std).square().reciprocal()
    return (x - mean) * precision  # faster on a CPU than division by a one-element tensor


def kl_gaussian(mean: Numbers, std: Numbers, prior_mean: Numbers | float, prior_std: Numbers | float) -> Numbers:
    """KL[N(mean, std²) ‖ N(prior_mean, prior_std²)], nats, elementwise; the shapes broadcast.

    Kullback & Leibler 1951; Kingma & Welling 2014 (1312.6114), appendix B, for any prior. Written in terms of the ratio
    of standard deviations minus 1, so that there is no cancellation for two posteriors a small step apart.

    >>> kl_gaussian(torch.tensor([0.0, 1.0]), torch.ones(2), prior_mean=0.0, prior_std=1.0)
    tensor([0.0000, 0.5000])
    """
    ratio = std / prior_std
    distance = (mean - prior_mean) / prior_std
    return 0.5 * torch.addcmul((ratio - 1) * (ratio + 1), distance, distance) - ratio.log()


def kl_gaussian_gradient(
    mean: Numbers, std: Numbers, prior_mean: Numbers | float, prior_std: Numbers | float
) -> tuple[Numbers, Numbers]:
    """∂ `kl_gaussian` / ∂ mean = (mean - prior_mean) / prior_std², and / ∂ std = std / prior_std² - 1 / std.

    Blundell et al. 2015 (1505.05424), section 3.2, with a Gaussian prior.
    """
    precision = prior_std**-2
    return (mean - prior_mean) * precision, torch.sub(std * precision, std.reciprocal())


def _like(x: Tensor, number: Tensor | float) -> Tensor:
    """`number` as a tensor of the dtype and device of `x`. A Python number is filled in, because a copy from the host
    would synchronize."""
    return number.to(x) if isinstance(number, Tensor) else torch.full((), number, dtype=x.dtype, device=x.device)


Moments = Float[Tensor, "*#shape"]


def merge_moments(
    mean_a: Moments, var_a: Moments, count_a: Moments, mean_b: Moments, var_b: Moments, count_b: Moments
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, (population) variance and count of the union of two samples; the shapes broadcast. Chan, Golub & LeVeque
    1979, eq. 2.1.

    >>> from torch import ones
    >>> one = ones(())
    >>> merge_moments(0 * one, 0 * one, one, 2 * one, 0 * one, one)  # the samples 0 and 2
    (tensor(1.), tensor(1.), tensor(2.))
    """
    count = count_a + count_b
    delta = mean_b - mean_a
    mean = mean_a + delta * (count_b / count)
    sum_of_squares = var_a * count_a + var_b * count_b + delta.square() * (count_a * count_b / count)
    return mean, sum_of_squares / count, count


def warmed_up_decay(decay: float, merges: int) -> float:
    """min(decay, (1 + n) / (10 + n)), with n = `merges` the number of earlier updates. A small decay at the start keeps
    the initial weights from dominating a short training. TensorFlow's ExponentialMovingAverage (Abadi et al. 2016,
    1603.04467)."""
    return min(decay, (1 + merges) / (10 + merges))
