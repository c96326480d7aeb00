"""Texts to learn from, and their division into a training and a validation text."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rlgen.data.text_files import name_of, read_texts
from rlgen.errors import problem

TRAINED_SHARE = 0.9
"""Share of each file, from its start, that is the training text. Karpathy 2015 (char-rnn) and nanoGPT, for
tiny-shakespeare."""


@dataclass(frozen=True)
class Corpus:
    """A training text and a validation text."""

    train: str
    validation: str
    name: str = "these texts"
    """Name for messages and results."""

    def __post_init__(self) -> None:
        for split in ("train", "validation"):
            if not getattr(self, split):
                got = f"an empty {split} text in {self.name}"
                raise problem("a text of at least 10 characters", got, "give a longer text")

    @classmethod
    def load(cls, path: str | Path, pattern: str = "*.txt") -> "Corpus":
        """The texts of a file, of a folder or of a zip archive, in UTF-8.

        The first 90 % of the characters of each file are for training and the last 10 % for validation, so that both
        splits have a part of every file. The parts are joined in the order of the files' names, with a line break after
        a part that does not end with one.

        Args:
            path: a text file with any ending but .zip, a folder, or a .zip archive, which is read in memory.
            pattern: names of the files that are read in a folder or archive, e.g. *.txt; * and ? stand for any
                characters.

        Raises:
            InputError: nothing at the path, no file of the pattern, an empty file, another encoding, a damaged archive,
                one that unpacks to too much, or names in it that lead out of it.
        """
        texts = read_texts(Path(path), pattern).values()
        cuts = [(text, int(TRAINED_SHARE * len(text))) for text in texts]
        train, validation = [text[:cut] for text, cut in cuts], [text[cut:] for text, cut in cuts]
        return cls(_joined(train), _joined(validation), name_of(path))

    @property
    def text(self) -> str:
        """The training text, which a tokenizer is learned from."""
        return self.train

    def fingerprints(self) -> dict[str, dict[str, str | int]]:
        """Name, number of characters and sha256 of both texts."""
        texts = {"train": self.train, "validation": self.validation}
        return {
            split: {"name": self.name, "n": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for split, text in texts.items()
        }


def _joined(parts: list[str]) -> str:
    ended = [part if part.endswith("\n") else f"{part}\n" for part in parts[:-1]]
    return "".join([*ended, *parts[-1:]])
