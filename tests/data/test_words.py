import numpy as np
import pytest

from rlgen.data.words import LENGTH, LONGEST, WORDS, decode, encode
from rlgen.errors import InputError

LONG_CLAUSE = "put the yellow ball in front of you next to the purple object behind you"
ALL = f"{LONG_CLAUSE} and {LONG_CLAUSE}, then {LONG_CLAUSE} and {LONG_CLAUSE}"


@pytest.mark.parametrize("text", ["go to the red ball", "", "open a door, then pick up the key on your left", ALL])
def test_an_instruction_survives_its_numbers(text: str) -> None:
    numbers = encode(text, LONGEST)
    assert numbers.dtype == np.uint8
    assert numbers.shape == (LONGEST,)
    assert decode(numbers) == text


def test_padding_is_zero_and_no_word() -> None:
    assert WORDS[0] == ""
    assert len(set(WORDS)) == len(WORDS)
    numbers = encode("go to the red ball")
    assert numbers.shape == (LENGTH,)
    assert (numbers[:5] > 0).all()
    assert not numbers[5:].any()


def test_a_clause_of_the_longest_kind_fits() -> None:
    assert np.count_nonzero(encode(LONG_CLAUSE)) == 15


def test_other_words_and_too_many_are_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"expected words of BabyAI.*'cup', 'fetchez' in .*mission_words"):
        encode("fetchez the cup")
    with pytest.raises(InputError, match=r"an instruction of 32 words at most.*mission_length = 64"):
        encode(ALL)
    with pytest.raises(InputError, match="numbers of words from 0 to"):
        decode([1, len(WORDS)])
