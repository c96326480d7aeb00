"""Likelihood by importance sampling of a model whose likelihood is known: z ~ N(0, 1), x | z ~ N(z, s²)."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from rlgen.errors import InputError
from rlgen.generators.metrics.log_likelihood import importance_log_likelihood, negative_log_likelihood

STD = 0.5
IMAGES = torch.tensor([-1.0, 0.0, 0.3, 2.0], dtype=torch.float64).view(4, 1, 1, 1)


def exact(images: Tensor) -> Tensor:
    return Normal(0.0, math.sqrt(1 + STD**2)).log_prob(images.flatten())


class Model:
    """log weights with the posterior N(x / (1 + s²), s² / (1 + s²)), its deviation times `wider`."""

    def __init__(self, wider: float = 1.0, seed: int = 0):
        self.wider, self.generator, self.asked = wider, torch.Generator().manual_seed(seed), []

    def __call__(self, images: Tensor, samples: int) -> Tensor:
        self.asked.append(samples)
        x = images.flatten()
        posterior = Normal(x / (1 + STD**2), self.wider * STD / math.sqrt(1 + STD**2))
        noise = torch.randn(samples, len(x), dtype=torch.float64, generator=self.generator)
        z = posterior.mean + posterior.stddev * noise
        prior, likelihood = Normal(0.0, 1.0).log_prob(z), Normal(z, STD).log_prob(x)
        return prior + likelihood - posterior.log_prob(z)


def test_with_the_true_posterior_one_sample_is_exact() -> None:
    torch.testing.assert_close(importance_log_likelihood(Model(), IMAGES, 1), exact(IMAGES))


def test_with_another_posterior_many_samples_come_close() -> None:
    found = importance_log_likelihood(Model(wider=1.5), IMAGES, 40_000, at_once=1000)
    # The weights' relative deviation is about 0.6: the estimate has a standard error of 0.003 nats.
    torch.testing.assert_close(found, exact(IMAGES), rtol=0, atol=0.02)


def test_the_estimate_is_unbiased_before_the_logarithm_and_low_after_it() -> None:
    images = torch.full((20_000, 1, 1, 1), 0.7, dtype=torch.float64)
    found = importance_log_likelihood(Model(wider=2.0), images, 3)
    error = float(found.exp().std()) / math.sqrt(20_000)
    assert float(found.exp().mean()) == pytest.approx(float(exact(images)[0].exp()), abs=4 * error)
    assert float(found.mean()) < float(exact(images)[0])
    more = importance_log_likelihood(Model(wider=2.0), images, 30)
    assert float(found.mean()) < float(more.mean()) < float(exact(images)[0])


def test_chunks_give_what_all_samples_at_once_give() -> None:
    table = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 30 - 900

    def in_turn() -> tuple[list[int], object]:
        taken = [0]

        def log_weight(images: Tensor, samples: int) -> Tensor:
            taken.append(taken[-1] + samples)
            return table[taken[-2] : taken[-1]]

        return taken, log_weight

    taken, log_weight = in_turn()
    found = importance_log_likelihood(log_weight, IMAGES, 10, at_once=4)  # type: ignore[arg-type]
    assert taken == [0, 4, 8, 10]
    torch.testing.assert_close(found, table.logsumexp(0) - math.log(10))
    assert bool((found < -700).all()), "where a sum of weights would be zero"


def test_the_mean_over_batches_is_over_images() -> None:
    batches = [IMAGES[:3], IMAGES[3:]]
    found = negative_log_likelihood(Model(), batches, samples=7, at_once=5)
    assert found.mean == pytest.approx(-float(exact(IMAGES).mean()))
    assert found.standard_error == pytest.approx(float(exact(IMAGES).std()) / 2)
    assert (found.images, found.samples) == (4, 7)


def test_weights_of_another_shape_and_no_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"log weights \[2, 4\]; got \[4, 2\]"):
        importance_log_likelihood(lambda images, samples: torch.zeros(len(images), samples), IMAGES, 2)
    with pytest.raises(InputError, match="at least one batch"):
        negative_log_likelihood(Model(), [])
    with pytest.raises(InputError, match="at least one sample"):
        importance_log_likelihood(Model(), IMAGES, 0)
