"""The linear probe against scikit-learn's logistic regression and the gradient at its minimum."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.generators.metrics.classes import fit_linear_probe


def rows(seed: int, count: int = 200) -> tuple[Tensor, Tensor]:
    """Three overlapping clusters in four numbers of very different size, the last of them constant."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    centers = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [0, 1.5, 1]])
    features = centers[labels] + torch.randn(count, 3, generator=generator)
    return torch.cat([features * torch.tensor([1.0, 1e4, 1e-3]) + 5, torch.full((count, 1), 7.0)], dim=1), labels


def test_it_is_scikit_learns_logistic_regression() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = rows(0)
    probe = fit_linear_probe(features, labels, 3, l2=1e-2)
    standardized = ((features.double() - probe.mean) / probe.scale).numpy()
    # Its objective is C · sum of cross-entropies + |weight|² / 2.
    reference = linear_model.LogisticRegression(C=1 / (len(labels) * 1e-2), tol=1e-10, max_iter=10_000)
    reference.fit(standardized, labels.numpy())
    other, _ = rows(1)
    expected = reference.predict_proba(((other.double() - probe.mean) / probe.scale).numpy())
    torch.testing.assert_close(probe.logits(other).softmax(-1), torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_the_gradient_vanishes_at_the_probe() -> None:
    features, labels = rows(0)
    probe = fit_linear_probe(features, labels, 3)
    weight, bias = probe.weight.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    standardized = (features.double() - probe.mean) / probe.scale
    loss = F.cross_entropy(standardized @ weight.T + bias, labels) + 0.5e-4 * weight.square().sum()
    for gradient in torch.autograd.grad(loss, [weight, bias]):
        assert float(gradient.abs().max()) < 1e-6


def test_without_any_information_it_gives_the_shares_of_the_classes() -> None:
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    probe = fit_linear_probe(torch.ones(6, 2), labels, 3)
    torch.testing.assert_close(
        probe.logits(torch.ones(1, 2)).softmax(-1)[0], torch.tensor([3, 1, 2]).double() / 6, rtol=0, atol=1e-6
    )


def test_separable_classes_have_a_finite_probe_that_is_always_right() -> None:
    features = torch.cat([torch.full((20, 1), -1.0), torch.full((20, 1), 1.0)])
    labels = (features[:, 0] > 0).long()
    probe = fit_linear_probe(features, labels, 2)
    assert torch.equal(probe.logits(features).argmax(-1), labels)
    assert bool(probe.weight.isfinite().all())


def test_units_of_the_features_do_not_matter() -> None:
    features, labels = rows(0)
    one = fit_linear_probe(features, labels, 3)
    other = fit_linear_probe(features.double() * torch.tensor([1e3, 1e-2, 10, 1]) - 4, labels, 3)
    scaled = features.double() * torch.tensor([1e3, 1e-2, 10, 1]) - 4
    torch.testing.assert_close(one.logits(features), other.logits(scaled), rtol=1e-4, atol=1e-4)


def test_the_same_features_give_the_same_probe_also_under_no_grad() -> None:
    features, labels = rows(0)
    with torch.no_grad():
        one = fit_linear_probe(features, labels, 3)
    other = fit_linear_probe(features.clone().requires_grad_(), labels, 3)
    assert torch.equal(one.weight, other.weight)
    assert not other.weight.requires_grad


def test_what_cannot_be_fitted_is_refused() -> None:
    features, labels = rows(0)
    with pytest.raises(InputError, match="l2 above 0"):
        fit_linear_probe(features, labels, 3, l2=0)
    with pytest.raises(InputError, match="up to 2"):
        fit_linear_probe(features, labels, 2)
    with pytest.raises(InputError, match="5 for 200"):
        fit_linear_probe(features, labels[:5], 3)
    features[3, 1] = math.nan
    with pytest.raises(InputError, match="finite features"):
        fit_linear_probe(features, labels, 3)
