"""Log-likelihoods as code lengths, in bits per dimension, and the transforms between levels and real numbers."""

import math

from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem


def bits_per_dimension(
    log_prob: Float[Tensor, "*batch"], dimensions: int, log_determinant: Float[Tensor, "*batch"] | float = 0.0
) -> Float[Tensor, "*batch"]:
    """-(log_prob + log_determinant) / (dimensions log 2): the code length of one dimension, in bits. Theis et al. 2016
    (1511.01844), section 3.1.

    `log_prob`: log-probability of the model's input, nats. `log_determinant`: log |d input / d level| of the transforms
    from levels to the model's input. It is 0 for a model of the levels themselves, otherwise the sum of what
    `dequantise` and `logit_transform` return.
    """
    return -(log_prob + log_determinant) / (dimensions * math.log(2))


def dequantise(
    level: Float[Tensor, "B ..."], noise: Float[Tensor, "B ..."], levels: int = 256
) -> tuple[Float[Tensor, "B ..."], Float[Tensor, " B"]]:
    """(level + noise) / levels in [0, 1], and the log-determinant of its Jacobian per row, -log(levels) for each
    dimension. Theis et al. 2016 (1511.01844), section 3.1.

    `level`: 0 to levels - 1. `noise`: uniform in [0, 1). The mean of the model's log-density over the noise is a lower
    bound on the log-probability of the levels.
    """
    log_determinant = level.new_full((len(level),), -math.log(levels) * level[0].numel())
    return (level + noise) / levels, log_determinant


def logit_transform(
    x: Float[Tensor, "B ..."], margin: float = 0.05
) -> tuple[Float[Tensor, "B ..."], Float[Tensor, " B"]]:
    """logit(margin + (1 - 2 margin) x) for x in [0, 1], and the log-determinant of its Jacobian per row. Dinh et al.
    2017 (Real NVP, 1605.08803), section 4.1.

    Differs from the paper: the margin is on both sides, because x = 1 must stay finite too. Raises `InputError` for a
    margin outside (0, 0.5).
    """
    if not 0 < margin < 0.5:
        raise problem("a margin between 0 and 0.5", f"{margin}", "use e.g. 0.05, or 1e-6 for binary images")
    inside, outside = margin + (1 - 2 * margin) * x, margin + (1 - 2 * margin) * (1 - x)
    log_slope = math.log(1 - 2 * margin) - inside.log() - outside.log()
    return inside.log() - outside.log(), log_slope.flatten(1).sum(1)
