"""A classifier of K real classes as a discriminator: class K + 1 are generated rows, and its logit is fixed at 0.

Salimans et al. 2016 (1606.03498), section 5. Shapes: B rows, K classes; all losses in nats per row.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.divergences import log_d_reward, survival_reward

ClassLogits = Float[Tensor, "B K"]
Scalar = Float[Tensor, ""]


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
    return survival_reward(real_logit(generated)).mean() - (weight * log_d_reward(real_logit(real))).mean()


def share_of(chosen: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Weights that turn a mean over all rows into the mean over the `chosen` rows, as Horvitz & Thompson 1952 weight a
    sample; zeros if none is chosen. The shape does not depend on how many are chosen."""
    return chosen / chosen.float().mean().clamp(min=0.5 / max(1, len(chosen)))
