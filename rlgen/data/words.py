"""The words of instructions, and their numbers: the grammar of BabyAI (Chevalier-Boisvert et al. 2019, 1810.08272) and
the missions of MiniGrid."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rlgen.data.spaces import is_codes, with_entries
from rlgen.errors import problem

ACTIONS = ("go", "to", "pick", "up", "open", "put", "next")
JOINTS = ("and", "then", "after", "you", ",")
OBJECTS = ("a", "the", "object", "ball", "box", "key", "door")
COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
PLACES = ("in", "front", "of", "behind", "on", "your", "left", "right")
OF_MINIGRID = (
    *("at", "avoid", "end", "fetch", "find", "from", "get", "goal", "hallway", "lava", "matching", "maze", "must"),
    *("near", "opening", "reach", "room", "rooms", "square", "traverse", "unlock", "use"),
)
"""Words that only missions of MiniGrid have."""
WORDS = ("", *ACTIONS, *JOINTS, *OBJECTS, *COLORS, *PLACES, *OF_MINIGRID)
"""All words; the place of a word is its number. Number 0 is padding."""
LENGTH = 32
"""Numbers of an instruction with two clauses at most."""
LONGEST = 80
"""Numbers of an instruction with four clauses: the longest of BabyAI has 72 words."""

MISSION = "mission"
"""Entry of an observation, and of demonstrations, that is an instruction."""
NOTED = "words"
"""Metadata of demonstrations with instructions: the words of their numbers."""

_NUMBERS = {word: number for number, word in enumerate(WORDS)}
_PARTS = re.compile(r"[^\s,]+|,")


def encode(text: str, length: int = LENGTH) -> np.ndarray:
    """Numbers of the words of `text`, uint8 [length], padded by 0. A comma is a word.

    >>> encode("go to the red ball", 8)
    array([ 1,  2, 14, 20, 16,  0,  0,  0], dtype=uint8)

    Raises `InputError` for words that are not among `WORDS`, and for more words than `length`.
    """
    words = _PARTS.findall(text.lower())
    if unknown := sorted({word for word in words if word not in _NUMBERS}):
        got = f"{', '.join(map(repr, unknown))} in {text!r}"
        raise problem("words of BabyAI's and MiniGrid's instructions (rlgen.data.words.WORDS)", got, "say it in these")
    if len(words) > length:
        got = f"{len(words)} in {text!r}"
        raise problem(f"an instruction of {length} words at most", got, f"use a length of {LONGEST}")
    numbers = np.zeros(length, np.uint8)
    numbers[: len(words)] = [_NUMBERS[word] for word in words]
    return numbers


def decode(numbers: Iterable[Any]) -> str:
    """The instruction of these numbers, without padding: the inverse of `encode`.

    >>> decode([1, 2, 13, 19, 12, 9, 1, 2, 14, 18, 0, 0])
    'go to a door, then go to the key'

    Raises `InputError` for numbers that are not of `WORDS`.
    """
    found = [int(number) for number in numbers]
    if wrong := [number for number in found if not 0 <= number < len(WORDS)]:
        raise problem(f"numbers of words from 0 to {len(WORDS) - 1}", str(wrong[0]), "decode what `encode` gave")
    return " ".join(WORDS[number] for number in found if number).replace(" ,", ",")


def has_instructions(space: Any) -> bool:
    """Whether an observation of `space` has an instruction in numbers of `WORDS`."""
    found = with_entries(space).get(MISSION)
    return found is not None and is_codes(found) and bool((found.high == len(WORDS) - 1).all())


def instructions_of(observations: Any, metadata: Mapping[str, Any]) -> list[str]:
    """The instruction of each row of demonstrations, in the words that their metadata note; empty without these."""
    words = metadata.get(NOTED)
    if not isinstance(observations, Mapping) or MISSION not in observations or not isinstance(words, list):
        return []
    numbers = np.asarray(observations[MISSION])
    if numbers.dtype != np.uint8 or numbers.max(initial=0) >= len(words):
        return []
    return [" ".join(str(words[number]) for number in row if number).replace(" ,", ",") for row in numbers]
