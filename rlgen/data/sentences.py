"""Sentences to learn from, one per line, and their division into training and validation sentences."""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from rlgen.data.text_files import name_of, read_texts
from rlgen.errors import problem

EVERY = 10
"""One of so many sentences is for validation."""
SPLIT_SEED = 0
"""Seed of the order that is divided: the same for every run, so that all are measured on the same sentences."""


class Labeled(NamedTuple):
    """Sentences with their classes."""

    sentences: tuple[str, ...]
    labels: Int64[Tensor, " N"]


@dataclass(frozen=True)
class Sentences:
    """Training and validation sentences, none of which is in both."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    name: str = "these sentences"
    """Name for messages and results."""
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The name of the file of each sentence, for those that are in one file alone."""

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
        found = {name: lines(text) for name, text in read_texts(Path(path), pattern).items()}
        files = _files(found)
        each = list(files)
        random.Random(SPLIT_SEED).shuffle(each)
        validation = each[EVERY - 1 :: EVERY]
        del each[EVERY - 1 :: EVERY]
        single = {sentence: name for sentence, name in files.items() if name is not None}
        return cls(tuple(each), tuple(validation), name_of(path), single)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the files, which are the classes of their sentences, in order."""
        return tuple(sorted(set(self.files.values())))

    def require_classes(self) -> None:
        """Raise `InputError` for fewer than two classes."""
        if len(self.classes) < 2:
            got = f"only {', '.join(self.classes) or 'none'} in {self.name}"
            raise problem("two or more files of sentences, one for each class", got, "give a folder or a .zip of them")

    def labeled(self, split: Literal["train", "validation"]) -> Labeled:
        """The sentences of a split that are in one file alone, with its number among `classes`."""
        sentences = [each for each in getattr(self, split) if each in self.files]
        number = {name: number for number, name in enumerate(self.classes)}
        return Labeled(tuple(sentences), torch.tensor([number[self.files[each]] for each in sentences]).long())

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


def _files(found: Mapping[str, list[str]]) -> dict[str, str | None]:
    """Every sentence once, with the name of its file; None for one that several files have. The names are without
    folders and .txt, unless two would be equal."""
    short = {name: PurePosixPath(name).name.removesuffix(".txt") for name in found}
    names = short if len(set(short.values())) == len(short) else {name: name.removesuffix(".txt") for name in found}
    files: dict[str, str | None] = {}
    for name, sentences in found.items():
        for sentence in sentences:
            files[sentence] = names[name] if files.get(sentence, names[name]) == names[name] else None
    return files


def lines(text: str) -> list[str]:
    """The lines of a text that are not empty, without spaces around them. Only line feeds end a line: other
    characters at which `str.splitlines` divides, such as U+0085, stand within sentences of texts that were once in
    Windows-1252."""
    return [stripped for line in text.split("\n") if (stripped := line.strip())]
