"""Hidden words in the proportions of the paper, by hand and by counting."""

import torch

from rlgen.equations.masked_words import masked_words


def test_the_fate_of_a_word_follows_from_its_draw() -> None:
    words, others = torch.arange(1, 6), torch.arange(11, 16)
    draws = torch.tensor([0.0, 0.125, 0.15, 0.19, 0.2])  # of a share of 0.2: mask, mask, mask, kept, not chosen
    seen, chosen = masked_words(words, draws, others, 99, 0.2)
    assert seen.tolist() == [99, 99, 99, 4, 5]
    assert chosen.tolist() == [True, True, True, True, False]
    seen, chosen = masked_words(words[:1], torch.tensor([0.17]), others[:1], 99, 0.2)
    assert seen.tolist() == [11]
    assert chosen.tolist() == [True]


def test_shares_of_many_words_are_those_of_the_paper() -> None:
    random = torch.Generator().manual_seed(0)
    words, others = torch.full((200_000,), 1), torch.full((200_000,), 2)
    seen, chosen = masked_words(words, torch.rand(words.shape, generator=random), others, 3, 0.15)
    found = torch.stack([chosen, seen == 3, seen == 2, chosen & (seen == 1)]).double().mean(1)
    expected = torch.tensor([0.15, 0.12, 0.015, 0.015]).double()
    assert (found - expected).abs().max() < 5 * (0.15 * 0.85 / 200_000) ** 0.5  # five standard errors of the largest


def test_without_a_share_all_words_are_seen_and_none_is_predicted() -> None:
    words = torch.arange(7)
    seen, chosen = masked_words(words, torch.zeros(7), torch.zeros_like(words), 99, 0.0)
    assert torch.equal(seen, words)
    assert not chosen.any()
