"""How new something is: against loops over their definitions, and torch's own functions."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rlgen.equations.exploration_bonuses import (
    count_bonus,
    curvature,
    disagreement,
    distillation_error,
    elliptical_bonus,
    feature_error,
    first_visit_bonus,
    natural_gain,
    prediction_error,
    pseudo_count,
)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, 3, generator=generator, dtype=torch.float64) for _ in range(2))


def test_prediction_error_is_the_square_of_the_distance(pair) -> None:
    torch.testing.assert_close(prediction_error(*pair), torch.linalg.vector_norm(pair[0] - pair[1], dim=-1) ** 2)
    assert prediction_error(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])) == 25


def test_feature_error_is_half_the_square_of_the_distance(pair) -> None:
    torch.testing.assert_close(feature_error(*pair), F.mse_loss(*pair, reduction="none").sum(-1) / 2)
    assert feature_error(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])) == 12.5


def test_feature_error_is_the_negative_log_likelihood_of_unit_variance_up_to_its_constant(pair) -> None:
    predicted, actual = pair
    log_prob = torch.distributions.Normal(predicted, 1.0).log_prob(actual).sum(-1)
    torch.testing.assert_close(feature_error(predicted, actual), -log_prob - 1.5 * np.log(2 * np.pi))


def test_distillation_error_is_the_mean_squared_error(pair) -> None:
    expected = [F.mse_loss(one, two) for one, two in zip(*pair, strict=True)]
    torch.testing.assert_close(distillation_error(*pair), torch.stack(expected))
    assert distillation_error(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])) == 12.5


def test_disagreement_is_the_variance_over_models_averaged_over_outputs() -> None:
    predictions = torch.randn(5, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(disagreement(predictions), predictions.var(0, correction=0).mean(-1))
    pairs = [(one - two).square().mean(-1) for one in predictions for two in predictions]
    torch.testing.assert_close(disagreement(predictions), torch.stack(pairs).mean(0) / 2)


def test_models_that_agree_do_not_disagree() -> None:
    assert torch.equal(disagreement(torch.ones(5, 2, 3)), torch.zeros(2))


def test_the_bonus_of_counts_is_one_over_the_root() -> None:
    counts = torch.tensor([0.0, 1.0, 4.0, 100.0])
    torch.testing.assert_close(count_bonus(counts), torch.tensor([1.0, 1.0, 0.5, 0.1]))


def test_the_bonus_of_first_visits_is_the_power_of_the_count_and_else_nothing() -> None:
    counts, first = torch.tensor([0.0, 1.0, 16.0, 16.0]), torch.tensor([True, True, True, False])
    torch.testing.assert_close(first_visit_bonus(counts, first, 0.25), torch.tensor([1.0, 1.0, 0.5, 0.0]))
    torch.testing.assert_close(first_visit_bonus(counts, first, 0.5)[:3], count_bonus(counts)[:3])


def test_the_elliptical_bonus_is_the_quadratic_form_and_its_update_the_inverse() -> None:
    features = torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = 0.2 * torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    inverse = torch.linalg.inv(matrix)
    for step in features:
        bonus, inverse = elliptical_bonus(inverse, step)
        expected = [row @ torch.linalg.solve(each, row) for row, each in zip(step, matrix, strict=True)]
        torch.testing.assert_close(bonus, torch.stack(expected), rtol=1e-9, atol=0)
        matrix = matrix + step[:, :, None] * step[:, None, :]
        torch.testing.assert_close(inverse, torch.linalg.inv(matrix), rtol=1e-9, atol=1e-12)


def test_the_pseudo_count_of_frequencies_is_the_count() -> None:
    visits, n = torch.tensor([1.0, 7.0, 500.0], dtype=torch.float64), 1_000_000
    gain = ((visits + 1) / (n + 1)).log() - (visits / n).log()
    torch.testing.assert_close(pseudo_count(gain), visits * (n + 1) / (n - visits), rtol=1e-9, atol=0)
    torch.testing.assert_close(pseudo_count(gain), visits, rtol=1e-3, atol=0)


def test_the_pseudo_count_is_rho_over_the_rise_of_rho() -> None:
    before, after = torch.tensor([0.1, 0.3, 1e-4]), torch.tensor([0.15, 0.31, 2e-4])
    torch.testing.assert_close(pseudo_count(after.log() - before.log()), before / (after - before))
    assert torch.isinf(pseudo_count(torch.tensor([-0.1, 0.0]))).all()
    assert float(pseudo_count(torch.tensor([3.0]), 0.1)) == pytest.approx(1 / np.expm1(0.3), rel=1e-6)


def test_the_natural_gain_of_a_softmax_is_one_over_the_visits() -> None:
    visits = torch.tensor([5.0, 20.0, 75.0, 900.0], dtype=torch.float64)
    n, features = visits.sum(), torch.ones(4, 1, 1, dtype=torch.float64)
    probs = (visits / n).expand(4, 1, 4)
    scores = torch.eye(4, dtype=torch.float64)[:, None] - probs
    gain = natural_gain(scores, features, torch.linalg.inv(n * curvature(probs, features)))
    assert (gain - 1 / visits).abs().max() < 10 / n


def test_the_natural_gain_is_the_quadratic_form_of_each_row_s_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 2, 3, generator=generator, dtype=torch.float64)
    features = torch.randn(6, 2, 4, generator=generator, dtype=torch.float64)
    roots = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    matrices = roots @ roots.mT + torch.eye(4, dtype=torch.float64)
    expected = torch.zeros(6, dtype=torch.float64)
    for row in range(6):
        for number in range(2):
            for output in range(3):
                gradient = scores[row, number, output] * features[row, number]
                expected[row] += gradient @ torch.linalg.solve(matrices[number, output], gradient)
    torch.testing.assert_close(natural_gain(scores, features, torch.linalg.inv(matrices)), expected)


def test_the_curvature_is_minus_the_second_derivative_of_the_log_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 1, 2, generator=generator, dtype=torch.float64)
    weights = torch.randn(3, 2, generator=generator, dtype=torch.float64)

    def mean_log_prob(rows: torch.Tensor) -> torch.Tensor:
        return (features[:, 0] @ rows.T).log_softmax(-1)[:, 0].mean()

    hessian = torch.autograd.functional.hessian(mean_log_prob, weights)
    found = curvature((features @ weights.T).softmax(-1), features)[0]
    torch.testing.assert_close(found, -torch.stack([hessian[k, :, k] for k in range(3)]))


def test_the_curvature_is_the_mean_square_of_scores_that_are_drawn() -> None:
    """The Fisher information: exact over the values of the softmax instead of draws."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(5, 1, 2, generator=generator, dtype=torch.float64)
    probs = torch.randn(5, 1, 3, generator=generator, dtype=torch.float64).softmax(-1)
    expected = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    for row in range(5):
        outer = torch.outer(features[row, 0], features[row, 0])
        for value in range(3):
            scores = torch.eye(3, dtype=torch.float64)[value] - probs[row, 0]
            expected[0] += probs[row, 0, value] * scores.square()[:, None, None] * outer / 5
    torch.testing.assert_close(curvature(probs, features), expected)
