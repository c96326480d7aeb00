"""How new something is: against loops over their definitions, and torch's own functions."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rlgen.equations.exploration_bonuses import (
    count_bonus,
    disagreement,
    distillation_error,
    elliptical_bonus,
    feature_error,
    prediction_error,
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
