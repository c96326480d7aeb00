"""The number of objects as a chain of choices: its divergences and its distribution."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Geometric, kl_divergence

from rlgen.equations.object_counts import kl_bernoulli, log_odds, one_more


def test_the_divergence_is_that_of_torch_and_of_the_sum_over_both_values() -> None:
    torch.manual_seed(0)
    logit, prior = 3 * torch.randn(2, 50, dtype=torch.float64)
    found = kl_bernoulli(logit, prior)
    torch.testing.assert_close(found, kl_divergence(Bernoulli(logits=logit), Bernoulli(logits=prior)))
    p, q = logit.sigmoid(), prior.sigmoid()
    torch.testing.assert_close(found, p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log())


def test_equal_choices_have_no_divergence_and_certain_ones_a_finite_one() -> None:
    logit = torch.tensor([-90.0, -1.0, 0.0, 4.0, 90.0])
    torch.testing.assert_close(kl_bernoulli(logit, logit), torch.zeros(5), atol=1e-5, rtol=0)
    assert kl_bernoulli(torch.tensor(90.0), torch.tensor(-4.0)).item() == pytest.approx(4 + math.log1p(math.exp(-4)))


@pytest.mark.parametrize("more", [0.2, 0.5, 0.9])
def test_choices_with_the_log_odds_of_the_prior_give_a_geometric_number_up_to_the_largest(more: float) -> None:
    assert log_odds(more) == pytest.approx(math.log(more / (1 - more)))
    counts = torch.arange(4)
    choices = one_more(counts, most=3)
    reached = torch.cat([torch.ones(1, 4), choices[:-1]])
    log_prob = (reached * Bernoulli(logits=torch.tensor(log_odds(more))).log_prob(choices)).sum(0)
    expected = Geometric(torch.tensor(1 - more)).log_prob(counts.float())  # failures before the first success
    expected[3] = 3 * math.log(more)
    torch.testing.assert_close(log_prob, expected)


def test_as_many_choices_are_one_as_there_are_objects() -> None:
    counts = torch.tensor([0, 1, 2, 3])
    choices = one_more(counts, most=3)
    assert choices.sum(0).tolist() == counts.tolist()
    assert (choices[:-1] >= choices[1:]).all()
