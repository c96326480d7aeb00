"""The loss of a discriminator with penalties, for images of a generator or transitions of a policy."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rlgen.equations.divergences import Divergence
from rlgen.equations.penalties import Critic
from rlgen.nn.penalties import Penalty, Reporting


class DiscriminatorLoss(NamedTuple):
    """A discriminator's loss, penalty and accuracies: scalars."""

    loss: Tensor
    """Loss of the divergence."""
    penalty: Tensor
    """Sum of the penalties, to be added to the loss."""
    real_accuracy: Tensor
    """Share of the real (expert) rows that are classified as real."""
    fake_accuracy: Tensor
    """Share of the fake (policy) rows that are classified as fake."""


def discriminator_loss(
    divergence: Divergence,
    penalties: Sequence[Penalty],
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    real_logit: Tensor,
    fake_logit: Tensor,
) -> DiscriminatorLoss:
    """The discriminator's loss for inputs [B, ...] with the logits [B] of `critic`. Call it once per gradient step,
    because penalties may have a state."""
    loss = divergence.discriminator_loss(real_logit, fake_logit)
    penalty = loss.new_zeros(())
    for term in penalties:
        penalty = penalty + term.loss(critic, real, fake, real_logit, fake_logit)
    with torch.no_grad():
        boundary = divergence.boundary(real_logit, fake_logit)
        right = (real_logit > boundary).float().mean(), (fake_logit <= boundary).float().mean()
    return DiscriminatorLoss(loss, penalty, *right)


def penalty_metrics(penalties: Sequence[Penalty]) -> dict[str, Tensor]:
    """The metrics of those penalties that report some: 0-d tensors by name."""
    return {name: value for term in penalties if isinstance(term, Reporting) for name, value in term.report().items()}
