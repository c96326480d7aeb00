"""Likelihoods of images, rows and labels, nats per row.

`x` is [B, ...]: B rows; the other dimensions hold one event (the pixels of an image, the values of a row). Parameters
are [..., B, ...], with optional sample dimensions before the rows. Results are [..., B], summed over the event.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.errors import problem

Events = Float[Tensor, "B ..."]
Parameters = Float[Tensor, "..."]
LogProb = Float[Tensor, "*samples_and_B"]
LOWEST_LOG_SCALE = -7.0
"""Lower limit of log scales. A logistic of scale e⁻⁷ is a ninth of one of 256 levels wide; in narrower ones the
gradient vanishes."""
HIGHEST_LOG_SCALE = 7.0
"""Upper limit of log scales. A logistic of scale e⁷ has a 2000th of its mass between black and white, evenly; a wider
one would lose digits."""
LOGISTIC_PARAMETERS = {1: 3, 3: 10}
"""Parameters of each logistic of a pixel's mixture, by number of channels."""


def bernoulli_log_prob(x: Events, logit: Parameters) -> LogProb:
    """Σ x log p + (1 - x) log(1 - p), p = sigmoid(logit). Bernoulli 1713, Ars conjectandi; as the decoder of a binary
    image Kingma & Welling 2014 (1312.6114), appendix C.1.

    x is 0 or 1, or a grey level in [0, 1]. For grey levels the result is the mean over binary images whose pixels are 1
    with probability x; it is not the logarithm of a normalized density of x.
    """
    return _per_row(x * logit - F.softplus(logit), x.ndim)


def diagonal_gaussian_log_prob(x: Events, mean: Parameters, std: Parameters | float) -> LogProb:
    """Σ log N(x; mean, std²); `std` broadcasts to the means. Gauss 1809, Theoria motus, §177; as a decoder Kingma &
    Welling 2014 (1312.6114), appendix C.2."""
    return _per_row(gaussian_log_prob(x, mean, std), x.ndim)


def discretized_gaussian_log_prob(x: Events, mean: Parameters, std: Parameters | float, levels: int = 256) -> LogProb:
    """Log-probability of the levels of x, values k / (levels - 1) in [0, 1], under Gaussians: Σ log(Φ(above) -
    Φ(below)) of the limits of each level. The lowest level extends to -∞ and the highest to ∞. `mean` and `std` refer
    to x rescaled to [-1, 1]. Ho et al. 2020 (DDPM, 2006.11239), eq. 13."""
    stretched, half = 2 * x - 1, 1 / (levels - 1)
    # Mirrored to the side below the mean, where the distribution function is small and its logarithm exact.
    sign = torch.where(stretched > mean, -1.0, 1.0)
    distance = sign * (stretched - mean)
    above = torch.where(sign * stretched > 1 - half, torch.inf, (distance + half) / std)
    below = torch.where(sign * stretched < half - 1, -torch.inf, (distance - half) / std)
    larger, smaller = torch.special.log_ndtr(above), torch.special.log_ndtr(below)
    return _per_row(larger + torch.log(-torch.expm1(smaller - larger)), x.ndim)


def categorical_log_prob(x: Int[Tensor, "B ..."], logits: Parameters) -> LogProb:
    """Σ log softmax(logits)[x], with class indices x [B, ...] from 0 and logits [..., B, ..., K]. Bridle 1990,
    Probabilistic interpretation of feedforward classification network outputs.

    Labels [B] are events of one value each. The logits are unnormalized: apply no softmax before.
    """
    chosen = x.expand(logits.shape[:-1]).unsqueeze(-1)
    return _per_row(logits.log_softmax(-1).gather(-1, chosen).squeeze(-1), x.ndim)


def discretized_logistic_mixture_log_prob(
    x: Float[Tensor, "B C H W"], params: Float[Tensor, "*samples B P H W"], levels: int = 256
) -> LogProb:
    """Log-probability of each pixel's level under a mixture of M logistics, summed over pixels. Salimans et al. 2017
    (PixelCNN++, 1701.05517), eq. 2 and 3.

    - x: grey (C = 1) or color (C = 3), values k/(levels - 1) in [0, 1].
    - Grey: P = 3 M, in this order M mixture logits, M means and M log scales.
    - Color: P = 10 M, in this order M mixture logits, 3 M means, 3 M log scales (M each for red, green and blue) and
      3 M coefficients, to which tanh is applied: green's mean depends on red, blue's on red and green.
    - Means and scales refer to x rescaled to [-1, 1].
    - The lowest level extends to -∞ and the highest to ∞, so the probabilities of all levels sum to 1.

    Differs from the released code: the difference of two sigmoids is the product σ(a) - σ(b) = σ(a) σ(-b) (1 -
    e^(b-a)), because that needs no approximation where both are almost equal.
    """
    stretched = 2 * x - 1
    log_share, mean, log_scale = _mixture(stretched, params)
    half, inverse_scale = 1 / (levels - 1), (-log_scale).exp()
    distance = stretched.unsqueeze(-4) - mean  # [..., B, M, C, H, W]
    above, below = (distance + half) * inverse_scale, (distance - half) * inverse_scale
    highest = (stretched > 1 - half).unsqueeze(-4)  # extends to ∞
    lowest = (stretched < half - 1).unsqueeze(-4)  # extends to -∞
    inside = torch.where(highest | lowest, 0.0, torch.log(-torch.expm1(-2 * half * inverse_scale)))
    to_above, to_below = torch.where(highest, 0.0, F.logsigmoid(above)), torch.where(lowest, 0.0, F.logsigmoid(-below))
    log_prob = to_above + to_below + inside
    return torch.logsumexp(log_share + log_prob.sum(-3), -3).sum((-2, -1))


@torch.no_grad()
def discretized_logistic_mixture_sample(
    params: Float[Tensor, "*batch P H W"], channels: int, levels: int = 256, generator: torch.Generator | None = None
) -> Float[Tensor, "*batch C H W"]:
    """Pixels k/(levels - 1), sampled from the distribution of `discretized_logistic_mixture_log_prob`. Salimans et al.
    2017 (PixelCNN++, 1701.05517), section 2.1.

    Differs from the released code: each color is rounded to its level before the mean of the next color is computed
    from it, because the likelihood does so.
    """
    count = _components(params, channels)
    log_share, *_ = parts = _parts(params, channels, count)
    uniform = torch.rand(log_share.shape, generator=generator, dtype=params.dtype, device=params.device)
    chosen = (log_share - torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))).argmax(-3, keepdim=True)
    mean, log_scale, coefficient = (
        part.gather(-4, chosen.unsqueeze(-3).expand(*chosen.shape[:-2], part.shape[-3], *chosen.shape[-2:])).squeeze(-4)
        for part in parts[1:]
    )
    uniform = torch.rand(mean.shape, generator=generator, dtype=params.dtype, device=params.device)
    noise = log_scale.exp() * torch.logit(uniform, eps=1e-7)

    def drawn(center: Tensor, number: int) -> Tensor:
        level = ((center + noise.select(-3, number)).clamp(-1, 1) + 1).mul((levels - 1) / 2).round()
        return 2 * level / (levels - 1) - 1

    return (_in_turn(mean, coefficient, drawn) + 1) / 2


def discretized_logistic_mixture_mean(
    params: Float[Tensor, "*batch P H W"], channels: int
) -> Float[Tensor, "*batch C H W"]:
    """Expected pixel in [0, 1] of the mixture of Salimans et al. 2017 (PixelCNN++, 1701.05517), eq. 1, with values
    below black a counted as black and values above white b as white: the sum, weighted by the mixture probabilities,
    of E[clamp(x, a, b)] = a + ∫ P(x > t) dt, from a to b, = a + s softplus((μ - a)/s) - s softplus((μ - b)/s).

    Rounding to levels is ignored, which changes the mean by half a level at most. Within each logistic, a color's mean
    is conditional (eq. 3) on the means of the colors before it. This is the exact expected color if no mass lies
    beyond black and white.
    """
    log_share, mean, log_scale, coefficient = _parts(params, channels, _components(params, channels))

    def expected(center: Tensor, number: int) -> Tensor:
        scale = log_scale.select(-3, number).exp()
        return scale * (F.softplus((center + 1) / scale) - F.softplus((center - 1) / scale)) - 1

    each = _in_turn(mean, coefficient, expected)
    return (((log_share.exp().unsqueeze(-3) * each).sum(-4) + 1) / 2).clamp(0, 1)


def _per_row(log_prob: Tensor, dimensions: int) -> Tensor:
    """Sum over the event; the last `dimensions` dimensions are [B, ...]."""
    return log_prob.sum(tuple(range(1 - dimensions, 0))) if dimensions > 1 else log_prob


def _mixture(stretched: Tensor, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log mixture weights [..., B, M, H, W], means given the preceding colors and log scales [..., B, M, C, H, W]."""
    channels = stretched.shape[-3]
    log_share, mean, log_scale, coefficient = _parts(params, channels, _components(params, channels))
    if channels == 3:
        red, green = stretched.unsqueeze(-4)[..., :1, :, :], stretched.unsqueeze(-4)[..., 1:2, :, :]
        of_red, blue_of_red, blue_of_green = coefficient.split(1, -3)
        moved = [torch.zeros_like(of_red), of_red * red, blue_of_red * red + blue_of_green * green]
        mean = mean + torch.cat(moved, -3)
    return log_share, mean, log_scale


def _in_turn(mean: Tensor, coefficient: Tensor, value: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Colors [..., C, H, W] in [-1, 1], one after another: each is `value(mean, index)`, its mean shifted by the
    preceding colors."""
    colors: list[Tensor] = []
    for number in range(mean.shape[-3]):
        center = mean.select(-3, number)
        for earlier, color in enumerate(colors):
            center = center + coefficient.select(-3, number * (number - 1) // 2 + earlier) * color
        colors.append(value(center, number))
    return torch.stack(colors, -3)


def _parts(params: Tensor, channels: int, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log mixture weights [..., M, H, W]; means, log scales [..., M, C, H, W]; coefficients [..., M, C or 3, H, W]."""
    logit, *others = params.split([count] + [count] * (params.shape[-3] // count - 1), -3)
    stacked = torch.stack(others, -3)  # [..., M, 2 C or 9, H, W]
    mean, log_scale, coefficient = stacked.tensor_split([channels, 2 * channels], -3)
    return logit.log_softmax(-3), mean, log_scale.clamp(LOWEST_LOG_SCALE, HIGHEST_LOG_SCALE), coefficient.tanh()


def _components(params: Tensor, channels: int) -> int:
    """The number M of logistics in each mixture."""
    each, rest = LOGISTIC_PARAMETERS.get(channels, 0), params.shape[-3]
    if not each or rest % each:
        raise problem(
            "1 channel and 3 parameters, or 3 channels and 10 parameters, for each logistic of the mixture",
            f"{channels} channels and {params.shape[-3]} parameters",
            "let the network's last layer have 3 M or 10 M channels",
        )
    return rest // each
