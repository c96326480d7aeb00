"""Bags of words: which words a sentence has, without their order."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


class BagOfWords:
    """The words of some sentences, by which others are described. A word is what spaces separate, in small letters."""

    def __init__(self, sentences: Iterable[str]):
        words = {word for sentence in sentences for word in _words(sentence)}
        self.columns = {word: column for column, word in enumerate(sorted(words))}

    def __call__(self, sentences: Sequence[str]) -> Float[Tensor, "N words"]:
        """A sparse matrix with 1 where a sentence has a word, however often, as in Pang et al. 2002 (cs/0205070), and 0
        elsewhere; words that are not known count as absent."""
        places = [
            (row, self.columns[word])
            for row, sentence in enumerate(sentences)
            for word in sorted(_words(sentence) & self.columns.keys())
        ]
        where = torch.tensor(places, dtype=torch.int64).view(-1, 2).T
        size = (len(sentences), len(self.columns))
        return torch.sparse_coo_tensor(where, torch.ones(len(places)), size, is_coalesced=True, check_invariants=False)


def _words(sentence: str) -> set[str]:
    return set(sentence.lower().split())
