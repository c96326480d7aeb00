"""The words of instructions, and their numbers: the grammar of BabyAI (Chevalier-Boisvert et al. 2019, 1810.08272) and
the missions of MiniGrid."""

import re
from collections.abc import Iterable, Mapping, Sequence
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
"""All words; the place of a word is its number. Number 0 is padding. Tasks may have more (`with_own_words`)."""
MOST_WORDS = 255
"""Most numbers of words: bytes below 255 are codes."""
LENGTH = 32
"""Numbers of an instruction with two clauses at most."""
LONGEST = 80
"""Numbers of an instruction with four clauses: the longest of BabyAI has 72 words."""

MISSION = "mission"
"""Entry of an observation, and of demonstrations, that is an instruction."""
NOTED = "words"
"""Metadata of demonstrations with instructions: the words of their numbers."""

_PARTS = re.compile(r"[^\s,]+|,")


def with_own_words(own: Iterable[str]) -> tuple[str, ...]:
    """`WORDS`, and after them those of `own` that they lack, in small letters.

    Raises `InputError` for texts that are not one word each, and for too many."""
    given = tuple(dict.fromkeys(word.lower() for word in own))
    if wrong := [word for word in given if _PARTS.fullmatch(word) is None]:
        raise problem("single words", f"{wrong[0]!r}", "separate the words of the task's missions")
    found = (*WORDS, *(word for word in given if word not in WORDS))
    if len(found) > MOST_WORDS:
        expected = f"at most {MOST_WORDS - len(WORDS)} words besides those of BabyAI and MiniGrid"
        raise problem(expected, f"{len(found) - len(WORDS)}", "leave out words that the missions do not have")
    return found


def words_of(env: Any) -> tuple[str, ...]:
    """The words of the instructions of a VecEnv by their numbers: those of its task, or `WORDS`."""
    try:
        return tuple(env.get_attr("words", 0)[0])
    except (AttributeError, NotImplementedError):
        return WORDS


def encode(text: str, length: int = LENGTH, vocabulary: Sequence[str] = WORDS) -> np.ndarray:
    """Numbers of the words of `text`, uint8 [length], padded by 0. A comma is a word.

    >>> encode("go to the red ball", 8)
    array([ 1,  2, 14, 20, 16,  0,  0,  0], dtype=uint8)

    Raises `InputError` for words that are not in the `vocabulary`, and for more words than `length`.
    """
    words, known = _PARTS.findall(text.lower()), {word: number for number, word in enumerate(vocabulary)}
    if unknown := sorted({word for word in words if word not in known}):
        got = f"{', '.join(map(repr, unknown))} in {text!r}"
        remedy = f"name them in the task's class: mission_words = ({', '.join(map(repr, unknown))},)"
        raise problem("words of BabyAI's and MiniGrid's instructions (rlgen.data.words.WORDS)", got, remedy)
    if len(words) > length:
        got = f"{len(words)} in {text!r}"
        remedy = f"set the length in the task's class: mission_length = {len(words)}, or more"
        raise problem(f"an instruction of {length} words at most", got, remedy)
    numbers = np.zeros(length, np.uint8)
    numbers[: len(words)] = [known[word] for word in words]
    return numbers


def decode(numbers: Iterable[Any], vocabulary: Sequence[str] = WORDS) -> str:
    """The instruction of these numbers, without padding: the inverse of `encode`.

    >>> decode([1, 2, 13, 19, 12, 9, 1, 2, 14, 18, 0, 0])
    'go to a door, then go to the key'

    Raises `InputError` for numbers that are not of the `vocabulary`.
    """
    found = [int(number) for number in numbers]
    if wrong := [number for number in found if not 0 <= number < len(vocabulary)]:
        raise problem(f"numbers of words from 0 to {len(vocabulary) - 1}", str(wrong[0]), "decode what `encode` gave")
    return " ".join(vocabulary[number] for number in found if number).replace(" ,", ",")


def has_instructions(space: Any) -> bool:
    """Whether an observation of `space` has an instruction in numbers of `WORDS`, and of the task's own words."""
    found = with_entries(space).get(MISSION)
    return found is not None and is_codes(found) and bool((found.high == max(len(WORDS) - 1, found.high.max())).all())


def instructions_of(observations: Any, metadata: Mapping[str, Any]) -> list[str]:
    """The instruction of each row of demonstrations, in the words that their metadata note; empty without these."""
    words = metadata.get(NOTED)
    if not isinstance(observations, Mapping) or MISSION not in observations or not isinstance(words, list):
        return []
    numbers = np.asarray(observations[MISSION])
    if numbers.dtype != np.uint8 or numbers.max(initial=0) >= len(words):
        return []
    return [" ".join(str(words[number]) for number in row if number).replace(" ,", ",") for row in numbers]
