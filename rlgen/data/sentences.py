"""Sentences to learn from, one per line, and their division into training and validation sentences."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from rlgen.data.text_files import name_of, read_texts
from rlgen.errors import problem

EVERY = 10
"""One of so many sentences is for validation."""
SPLIT_SEED = 0
"""Seed of the order that is divided: the same for every run, so that all are measured on the same sentences."""


@dataclass(frozen=True)
class Sentences:
    """Training and validation sentences, none of which is in both."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    name: str = "these sentences"
    """Name for messages and results."""

    def __post_init__(self) -> None:
        for split in ("train", "validation"):
            if not getattr(self, split):
                got = f"no {split} sentence in {self.name}"
                raise problem(f"at least {EVERY} different sentences, one per line", got, "give more of them")

    @classmethod
    def load(cls, path: str | Path, pattern: str = "*.txt") -> "Sentences":
        """The sentences of a file, of a folder or of a zip archive, in UTF-8: its lines without spaces around them.
        Empty lines are left out, and a sentence that occurs several times is used once.

        In an order drawn with the seed 0 every tenth sentence is for validation, the others are for training.

        Args:
            path: a text file with any ending but .zip, a folder, or a .zip archive, which is read in memory.
            pattern: names of the files that are read in a folder or archive, e.g. *.txt.

        Raises:
            InputError: what cannot be read (see `Corpus.load`), and fewer than 10 different sentences.
        """
        found = [sentence for text in read_texts(Path(path), pattern) for sentence in lines(text)]
        each = list(dict.fromkeys(found))
        random.Random(SPLIT_SEED).shuffle(each)
        validation = each[EVERY - 1 :: EVERY]
        del each[EVERY - 1 :: EVERY]
        return cls(tuple(each), tuple(validation), name_of(path))

    @property
    def text(self) -> str:
        """The training sentences as one text, which a tokenizer is learned from."""
        return "\n".join(self.train)

    def fingerprints(self) -> dict[str, dict[str, str | int]]:
        """Name, number of sentences and sha256 of both splits."""
        splits = {"train": self.train, "validation": self.validation}
        return {
            split: {
                "name": self.name,
                "n": len(sentences),
                "sha256": hashlib.sha256("\n".join(sentences).encode()).hexdigest(),
            }
            for split, sentences in splits.items()
        }


def lines(text: str) -> list[str]:
    """The lines of a text that are not empty, without spaces around them. Only line feeds end a line: other
    characters at which `str.splitlines` divides, such as U+0085, stand within sentences of texts that were once in
    Windows-1252."""
    return [stripped for line in text.split("\n") if (stripped := line.strip())]
