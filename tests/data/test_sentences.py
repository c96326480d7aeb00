"""Sentences of files: what a sentence is, how they are divided, and minibatches of them."""

import zipfile
from pathlib import Path

import pytest
import torch

from rlgen.data import ByteTokenizer, SentenceBatches, Sentences
from rlgen.data.sentence_model import encoded
from rlgen.data.sentences import lines
from rlgen.errors import InputError
from rlgen.nn.padding import PADDING

MANY = [f"sentence {number}" for number in range(57)]


def written(folder: Path, text: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_lines_are_stripped_and_only_line_feeds_end_them() -> None:
    assert lines(" one \r\n\n two\x85three\u2028four\n  \nfive") == ["one", "two\x85three\u2028four", "five"]


def test_every_tenth_sentence_is_for_validation_and_the_splits_share_none(tmp_path: Path) -> None:
    found = Sentences.load(written(tmp_path, "\n".join(MANY + MANY[:20])))
    assert len(found.validation) == 5
    assert sorted([*found.train, *found.validation]) == sorted(MANY)
    assert found.validation != tuple(MANY[9::10])
    assert found == Sentences.load(tmp_path / "a.txt")
    assert found.name == "a"


def test_the_fingerprint_depends_on_the_sentences_of_each_split(tmp_path: Path) -> None:
    one = Sentences.load(written(tmp_path, "\n".join(MANY))).fingerprints()
    other = Sentences.load(written(tmp_path, "\n".join([*MANY[:-1], "another"]))).fingerprints()
    assert (one["train"]["n"], one["validation"]["n"]) == (52, 5)
    assert one != other


def test_files_of_a_pattern_in_an_archive_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "reviews.zip", "w") as archive:
        archive.writestr("reviews/rt.pos", "\n".join(MANY[:30]))
        archive.writestr("reviews/rt.neg", "\n".join(MANY[30:]))
        archive.writestr("reviews/README.txt", "not a sentence")
    found = Sentences.load(tmp_path / "reviews.zip", "rt.*")
    assert sorted([*found.train, *found.validation]) == sorted(MANY)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("déjà vu\n".encode("latin-1") * 20, "text in UTF-8; got the byte 0xe9 .* iconv"),
        (b"the same\n" * 50, "at least 10 different sentences"),
        (b"\n \n", "nothing but spaces"),
    ],
)
def test_what_has_no_sentences_is_refused(content: bytes, refusal: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=refusal):
        Sentences.load(written(tmp_path, content))


def test_a_sentence_beyond_the_context_is_refused_with_the_context_that_it_needs() -> None:
    assert [len(row) for row in encoded(ByteTokenizer(), ["abc", ""], 3)] == [3, 0]
    with pytest.raises(InputError, match=r"at most 3 tokens, one per line; got 4 in 'abcd'.*--vae.context 4"):
        encoded(ByteTokenizer(), ["abc", "abcd"], 3)


def test_an_epoch_has_every_sentence_once_and_rows_are_padded_to_the_longest() -> None:
    rows = [torch.full((length,), length) for length in range(1, 8)]
    batches = SentenceBatches(rows, 3, seed=4)
    seen = torch.cat([next(batches)[0].amax(1) for _ in range(7)])
    assert batches.of_epoch == 7
    assert all(sorted(seen[start : start + 7].tolist()) == [1, 2, 3, 4, 5, 6, 7] for start in (0, 7, 14))
    (tokens,) = next(batches)
    lengths = (tokens != PADDING).sum(1)
    assert tokens.shape == (3, int(lengths.max()))
    assert torch.equal(tokens.amax(1), lengths)


def test_a_stream_goes_on_where_its_state_was_saved() -> None:
    rows = [torch.tensor([number]) for number in range(10)]
    one, other = SentenceBatches(rows, 4, seed=1), SentenceBatches(rows, 4, seed=2)
    next(one)
    other.load_state_dict(one.state_dict())
    assert all(torch.equal(next(one)[0], next(other)[0]) for _ in range(6))


def test_the_state_of_more_sentences_is_refused() -> None:
    rows = [torch.tensor([number]) for number in range(10)]
    batches = SentenceBatches(rows, 1)
    next(batches)
    with pytest.raises(InputError, match="an order of 2 sentences"):
        SentenceBatches(rows[:2], 1).load_state_dict(batches.state_dict())


@pytest.mark.parametrize(("rows", "size"), [([], 1), ([torch.tensor([0])], 0)])
def test_batches_of_nothing_are_refused(rows: list[torch.Tensor], size: int) -> None:
    with pytest.raises(InputError, match="at least one of some sentences at a time"):
        SentenceBatches(rows, size)
