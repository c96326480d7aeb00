"""Tokenizers give back every text, also one that they have not learned from."""

import json
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlgen.data import BPETokenizer, ByteTokenizer, Tokenizer
from rlgen.data.tokenizers import fitted, from_json
from rlgen.errors import InputError

LEARNED = "the cat sat on the mat, the rat sat on the hat. " * 20
pytest.importorskip("tokenizers")
BPE = BPETokenizer.fitted(LEARNED, 280)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BPE], ids=lambda each: each.kind)
@settings(max_examples=60)
@given(text=st.text(max_size=40))
def test_any_text_is_encoded_and_decoded_without_loss(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens.tolist()) == text
    assert tokens.dtype == torch.int64
    assert ((tokens >= 0) & (tokens < tokenizer.size)).all()


def test_bytes_are_those_of_utf8() -> None:
    assert ByteTokenizer().encode("aé").tolist() == [97, 195, 169]
    assert ByteTokenizer().decode([255, 97]) == "\N{REPLACEMENT CHARACTER}a"


def test_frequent_words_are_single_tokens() -> None:
    assert len(BPE.encode(" the cat sat")) < 8
    assert 256 < BPE.size <= 280


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BPE], ids=lambda each: each.kind)
def test_a_tokenizer_is_the_same_after_json(tokenizer: Tokenizer) -> None:
    again = from_json(json.loads(json.dumps(tokenizer.to_json())), "tokenizer.json")
    assert again.size == tokenizer.size
    assert torch.equal(again.encode("the cat, größer"), tokenizer.encode("the cat, größer"))


@pytest.mark.parametrize(
    "value", [None, [], {"kind": "words"}, {"kind": "bpe"}, {"kind": "bpe", "description": {"model": 3}}]
)
def test_json_of_something_else_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"a tokenizer .*in tokenizer\.json"):
        from_json(value, "tokenizer.json")


def test_a_vocabulary_without_room_for_words_is_refused() -> None:
    with pytest.raises(InputError, match="more than 256 tokens"):
        fitted("bpe", LEARNED, 256)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install 'rlgen\[text\]', or leave --tokenizer bpe out"):
        fitted("bpe", LEARNED, 300)
    assert fitted("bytes", LEARNED, 300).size == 256
