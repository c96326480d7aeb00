"""Perplexity where it is known on paper, and against torch's cross-entropy."""

import math

import torch
from torch.nn import functional as F

from rlgen.equations.text_likelihood import perplexity


def test_a_uniform_distribution_has_the_perplexity_of_its_vocabulary() -> None:
    torch.testing.assert_close(perplexity(torch.tensor(-12 * math.log(65)), 12), torch.tensor(65.0))


def test_certainty_has_the_perplexity_one() -> None:
    assert perplexity(torch.tensor(0.0), 5).item() == 1


def test_it_is_the_exponential_of_torchs_cross_entropy() -> None:
    logits, tokens = torch.randn(20, 7, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 7
    log_prob = logits.log_softmax(-1)[torch.arange(20), tokens].sum()
    torch.testing.assert_close(perplexity(log_prob, 20), F.cross_entropy(logits, tokens).exp())
