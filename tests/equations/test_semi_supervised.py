"""K + 1 classes, the last one generated: against an explicit softmax, and closed forms."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.equations.gan_variants import class_loss, real_logit, real_or_generated_loss, share_of


def all_log_probs(class_logits: Tensor) -> Tensor:
    """log softmax over K + 1 logits, that of the generated class 0."""
    return torch.cat([class_logits, torch.zeros_like(class_logits[..., :1])], -1).log_softmax(-1)


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return 3 * torch.randn(7, 4, dtype=torch.float64), 3 * torch.randn(5, 4, dtype=torch.float64)


def test_the_real_logit_is_that_of_one_minus_the_last_of_k_plus_1_probabilities(logits: tuple[Tensor, Tensor]) -> None:
    generated = all_log_probs(logits[0])[:, -1].exp()
    torch.testing.assert_close(real_logit(logits[0]).sigmoid(), 1 - generated)


def test_of_equal_classes_it_is_the_logarithm_of_their_number() -> None:
    torch.testing.assert_close(real_logit(torch.zeros(2, 3, 10)), torch.full((2, 3), math.log(10)))


def test_telling_real_from_generated_is_the_softmax_over_k_plus_1_classes(logits: tuple[Tensor, Tensor]) -> None:
    real, generated = logits
    counted = torch.tensor([True, False, True, True, False, False, True])
    not_generated = torch.log1p(-all_log_probs(real)[:, -1].exp())
    generated_part = -all_log_probs(generated)[:, -1].mean()
    torch.testing.assert_close(real_or_generated_loss(real, generated), generated_part - not_generated.mean())
    found = real_or_generated_loss(real, generated, counted)
    torch.testing.assert_close(found, generated_part - not_generated[counted].mean())


def test_both_losses_of_a_row_together_are_the_cross_entropy_of_k_plus_1_classes(
    logits: tuple[Tensor, Tensor],
) -> None:
    """log p(y) = log p(y | real) + log p(real), for rows that are all labeled."""
    real, generated = logits
    labels = torch.arange(7) % 4
    whole = -all_log_probs(real).gather(1, labels[:, None]).mean() - all_log_probs(generated)[:, -1].mean()
    torch.testing.assert_close(class_loss(real, labels) + real_or_generated_loss(real, generated), whole)


def test_the_class_loss_is_over_the_rows_that_have_a_label(logits: tuple[Tensor, Tensor]) -> None:
    labels = torch.tensor([2, -1, 0, -1, -1, 3, -1])
    chosen = labels >= 0
    expected = torch.nn.functional.cross_entropy(logits[0][chosen], labels[chosen])
    torch.testing.assert_close(class_loss(logits[0], labels), expected)
    ours = logits[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(class_loss(ours, labels), ours)
    assert (gradient[~chosen] == 0).all()
    assert (gradient[chosen] != 0).all()


def test_without_any_label_there_is_no_class_loss(logits: tuple[Tensor, Tensor]) -> None:
    assert class_loss(logits[0], torch.full((7,), -1)) == 0


def test_a_weighted_mean_is_the_mean_over_the_chosen() -> None:
    values, chosen = torch.tensor([1.0, 20.0, 3.0]), torch.tensor([True, False, True])
    assert (values * share_of(chosen)).mean() == pytest.approx(2.0)
    torch.testing.assert_close(share_of(torch.ones(3, dtype=torch.bool)), torch.ones(3))
    assert share_of(torch.zeros(3, dtype=torch.bool)).tolist() == [0, 0, 0]


def test_huge_logits_give_finite_losses() -> None:
    huge = torch.tensor([[1e4, -1e4], [-1e4, -1e4]])
    assert real_or_generated_loss(huge, -huge).isfinite()
    assert class_loss(huge, torch.tensor([1, 0])).isfinite()
