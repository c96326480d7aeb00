"""Equations of particular GANs: BEGAN's equilibrium, semi-supervised classes, the Laplacian pyramid, and GRAN's
comparison of two GANs."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.divergences import log_d, neg_log_one_minus_d
from rlgen.equations.penalties import dual_ascent

Scalar = Float[Tensor, ""]
ClassLogits = Float[Tensor, "B K"]


def balanced_weight(weight: Scalar, real_error: Scalar, fake_error: Scalar, ratio: float, step_size: float) -> Scalar:
    """k + λ (γ L(x) - L(G(z))), clamped to [0, 1]: the weight of generated images in the autoencoder's loss. γ is the
    ratio; at equilibrium E[L(G(z))] = γ E[L(x)]. Berthelot et al. 2017 (1703.10717), section 3.4."""
    return dual_ascent(weight, ratio * real_error - fake_error, step_size).clamp(max=1)


def convergence_measure(real_error: Scalar, fake_error: Scalar, ratio: float) -> Scalar:
    """M = L(x) + |γ L(x) - L(G(z))|: small when real images are reconstructed well and the equilibrium holds. Berthelot
    et al. 2017 (1703.10717), section 3.4.1."""
    return real_error + (ratio * real_error - fake_error).abs()


def real_logit(class_logits: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch"]:
    """log Σ_k e^(l_k): the logit of D = Z / (Z + 1), the probability that a row belongs to one of the K real classes.

    Salimans et al. 2016 (1606.03498), section 5: subtracting a function of x from all K + 1 logits does not change the
    probabilities, so the logit of the generated class can be 0.
    """
    return torch.logsumexp(class_logits, -1)


def class_loss(class_logits: ClassLogits, labels: Int[Tensor, " B"]) -> Scalar:
    """-E[log p(y | x, y ≤ K)] over the labeled rows (label ≥ 0); 0 if there are none. Salimans et al. 2016
    (1606.03498), section 5, L_supervised."""
    known = labels >= 0
    each = F.cross_entropy(class_logits, labels.clamp(min=0), reduction="none")
    return (each * share_of(known)).mean()


def real_or_generated_loss(
    real: ClassLogits, generated: Float[Tensor, "B2 K"], counted: Bool[Tensor, " B"] | None = None
) -> Scalar:
    """-E_real[log D] - E_generated[log (1 - D)]. Salimans et al. 2016 (1606.03498), section 5, L_unsupervised.

    `counted`: mask of the real rows that the mean includes; all by default.
    """
    weight = 1.0 if counted is None else share_of(counted)
    return neg_log_one_minus_d(real_logit(generated)).mean() - (weight * log_d(real_logit(real))).mean()


def share_of(chosen: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Weights that turn a mean over all rows into the mean over the `chosen` rows, as Horvitz & Thompson 1952 weight a
    sample; zeros if none is chosen. The shape does not depend on how many are chosen."""
    return chosen / chosen.float().mean().clamp(min=0.5 / max(1, len(chosen)))


Images = Float[Tensor, "B C H W"]


def halved(images: Images) -> Float[Tensor, "B C h w"]:
    """Images of half the height and width, each pixel the mean of four: d of Denton et al. 2015 (1506.05751), section
    2.2.

    Differs from Burt & Adelson 1983: a box filter instead of their five-tap filter, because a box filter needs no
    padding at the borders of images as small as 8 × 8.
    """
    return F.avg_pool2d(images, 2)


def doubled(images: Images) -> Float[Tensor, "B C H2 W2"]:
    """Images of twice the height and width, by linear interpolation between pixel centers: u of Denton et al. 2015
    (1506.05751), section 2.2."""
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def laplacian_pyramid(images: Images, levels: int) -> tuple[Float[Tensor, "B C h w"], list[Tensor]]:
    """The images after `levels` halvings, and the residual of each doubling, coarse to fine. Burt & Adelson 1983;
    Denton et al. 2015 (1506.05751), eq. 3. Height and width must be divisible by 2^levels."""
    bands: list[Tensor] = []
    for _ in range(levels):
        coarse = halved(images)
        bands.insert(0, images - doubled(coarse))
        images = coarse
    return images, bands


def collapsed(coarse: Images, bands: Sequence[Tensor]) -> Float[Tensor, "B C H2 W2"]:
    """The images of a pyramid: the inverse of `laplacian_pyramid`. Denton et al. 2015 (1506.05751), eq. 4."""
    for band in bands:
        coarse = doubled(coarse) + band
    return coarse


def error_ratio(first: float, second: float) -> float:
    """ε(D_1) / ε(D_2), the ratio of two discriminators' error rates: on test images r_test, on each other's samples
    r_sample. Im et al. 2016 (1602.05110), eq. 6 and 7.

    Two discriminators without errors are equal, ratio 1; against a single one the ratio is infinite.

    >>> error_ratio(0.1, 0.4)
    0.25
    """
    return 1.0 if first == second else first / second if second else math.inf


def battle_winner(test_ratio: float, sample_ratio: float, tolerance: float) -> int:
    """The better of two GANs: 1 for r_sample < 1 and 2 for r_sample > 1, if r_test ≃ 1; otherwise 0, a tie. Im et al.
    2016 (1602.05110), eq. 8.

    `tolerance`: factor above 1 by which r_test may differ from 1; the paper gives no number. Discriminators that err
    differently often on real images are not comparable: one that takes every image for generated never errs on
    samples.
    """
    if not 1 / tolerance <= test_ratio <= tolerance or sample_ratio == 1:
        return 0
    return 1 if sample_ratio < 1 else 2
