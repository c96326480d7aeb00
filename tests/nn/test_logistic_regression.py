"""Logistic regression finds the maximum of the penalized likelihood."""

import pytest
import torch
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.nn.logistic_regression import LogisticRegression


def rows(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    noisy = x[:, 0] + 0.5 * torch.randn(60, generator=generator)
    return x, torch.bucketize(noisy, torch.linspace(-1, 1, classes + 1)[1:-1])


@pytest.mark.parametrize(("classes", "penalty"), [(2, 1.0), (3, 1.0), (3, 0.1)])
def test_the_classifier_is_that_of_scikit_learn(classes: int, penalty: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels = rows(classes)
    found = LogisticRegression.fitted(x, labels, classes, penalty)
    # With two classes scikit-learn has one column of weights, the difference of the two here: |w|² is then twice |W|².
    scale = 2 if classes == 2 else 1
    theirs = linear_model.LogisticRegression(C=scale / penalty, tol=1e-10, max_iter=10_000)
    expected = torch.from_numpy(theirs.fit(x.double().numpy(), labels).predict_proba(x.double().numpy()))
    torch.testing.assert_close(found.logits(x).softmax(-1), expected, atol=1e-4, rtol=0)


def test_the_gradient_vanishes_at_the_classifier() -> None:
    x, labels = rows(3)
    found = LogisticRegression.fitted(x, labels, 3, 0.5)
    weight, bias = (each.clone().requires_grad_() for each in found)
    loss = F.cross_entropy(x.double() @ weight + bias, labels, reduction="sum") + 0.25 * weight.square().sum()
    loss.backward()
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-4


def test_sparse_features_give_the_classifier_of_dense_ones() -> None:
    x, labels = rows(2)
    x = x.clamp(min=0)
    sparse = LogisticRegression.fitted(x.to_sparse(), labels, 2)
    dense = LogisticRegression.fitted(x, labels, 2)
    torch.testing.assert_close(sparse.weight, dense.weight, atol=1e-5, rtol=0)
    assert sparse.accuracy(x.to_sparse(), labels) == dense.accuracy(x, labels) > 0.8


def test_a_classifier_of_nothing_knows_how_often_classes_are() -> None:
    found = LogisticRegression.fitted(torch.zeros(8, 1), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]), 2)
    probabilities = found.logits(torch.zeros(1, 1)).softmax(-1)[0]
    assert probabilities.tolist() == pytest.approx([0.75, 0.25], abs=1e-5)


def test_a_penalty_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="a penalty above 0"):
        LogisticRegression.fitted(torch.zeros(2, 1), torch.tensor([0, 1]), 2, 0.0)
