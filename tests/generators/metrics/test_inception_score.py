"""The inception score's answers known on paper, and as mutual information by torch.distributions."""

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from rlgen.errors import InputError
from rlgen.generators.metrics.inception import inception_score


def test_one_class_only_scores_one() -> None:
    probs = torch.zeros(20, 10)
    probs[:, 3] = 1
    assert float(inception_score(probs).mean) == pytest.approx(1, abs=1e-12)


def test_an_unsure_classifier_scores_one() -> None:
    assert float(inception_score(torch.full((20, 10), 0.1)).mean) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("classes", [2, 10])
def test_sure_and_even_scores_the_number_of_classes(classes: int) -> None:
    score = inception_score(torch.eye(classes).repeat(7, 1), splits=7)
    assert float(score.mean) == pytest.approx(classes, rel=1e-12)
    assert float(score.std) == pytest.approx(0, abs=1e-12)


def test_it_is_the_exponential_of_the_mean_kl_of_torch_distributions() -> None:
    probs = torch.rand(30, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(-1)

    def score(rows: torch.Tensor) -> torch.Tensor:
        return kl_divergence(Categorical(probs=rows), Categorical(probs=rows.mean(0).expand_as(rows))).mean().exp()

    torch.testing.assert_close(inception_score(probs).mean, score(probs))
    thirds = torch.stack([score(rows) for rows in probs.split(10)])
    torch.testing.assert_close(inception_score(probs, splits=3).mean, thirds.mean())
    torch.testing.assert_close(inception_score(probs, splits=3).std, thirds.std(correction=0))


def test_more_splits_than_images_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 2 splits"):
        inception_score(torch.full((2, 3), 1 / 3), splits=3)
