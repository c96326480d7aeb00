"""Units of a text's likelihood by hand, and windows that score every token once."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators import LanguageModel, LanguageModelConfig
from rlgen.generators.metrics.text_likelihood import TextLikelihood, text_log_prob


class Uniform(LanguageModel):
    """Every token is equally probable; it notes the windows that it is asked for."""

    def log_prob(self, tokens: Tensor) -> Tensor:
        return torch.full(tokens.shape, -math.log(self.vocabulary))


class Seen(LanguageModel):
    """Returns how many tokens of its window are before each token, as if these were log-probabilities."""

    def log_prob(self, tokens: Tensor) -> Tensor:
        return torch.arange(tokens.shape[1]).expand(tokens.shape).float()


SMALL = LanguageModelConfig(context=4, width=4, depth=1, heads=1)


def test_the_units_are_those_computed_by_hand() -> None:
    units = TextLikelihood(log_prob=-8.0, tokens=4, characters=10, standard_error=2.0).units()
    expected = {
        "nll_per_token": 2.0,
        "nll_per_token_standard_error": 0.5,
        "nll_per_character": 0.8,
        "nll_per_character_standard_error": 0.2,
        "bits_per_character": 0.8 / math.log(2),
        "perplexity": math.exp(2.0),
    }
    assert units == pytest.approx(expected)


def test_the_perplexity_of_a_uniform_model_is_its_vocabulary() -> None:
    found = text_log_prob(Uniform(37, SMALL), torch.zeros(50, dtype=torch.int64), 4, 2)
    assert TextLikelihood.of(found, 50, 4).units()["perplexity"] == pytest.approx(37)


@pytest.mark.parametrize("length", [1, 3, 4, 5, 6, 7, 8, 9, 23])
def test_every_token_is_scored_once_from_half_a_window_or_more(length: int) -> None:
    found = text_log_prob(Seen(3, SMALL), torch.zeros(length, dtype=torch.int64), 4, 2, at_once=2).tolist()
    expected = [place if place < 4 else 2 + place % 2 for place in range(length)]
    assert found == expected


def test_blocks_are_scored_side_by_side() -> None:
    found = text_log_prob(Seen(3, SMALL), torch.zeros(10, dtype=torch.int64), 4, 4).tolist()
    assert found == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_the_standard_error_is_over_blocks() -> None:
    log_prob = torch.tensor([-1.0, -1.0, -3.0, -3.0], dtype=torch.float64)
    found = TextLikelihood.of(log_prob, 4, block=2)
    sums = torch.tensor([-2.0, -6.0])
    assert found.standard_error == pytest.approx(float(sums.std()) * math.sqrt(2))
    assert math.isnan(TextLikelihood.of(log_prob, 4, block=3).standard_error)


def test_a_stride_beyond_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="a stride of at least 1"):
        text_log_prob(Uniform(3, SMALL), torch.zeros(9, dtype=torch.int64), 4, 5)
