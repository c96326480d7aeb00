"""The options --observed and --places: numbers of an observation."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from tyro.constructors import PrimitiveConstructorSpec

from rlgen.envs.registry import OBSERVED, STATE_AXES
from rlgen.errors import InputError, problem
from rlgen.rewards.view import ranges

ALL = "all"


def parse_observed(texts: Sequence[str]) -> tuple[int, ...] | None:
    """`["0-6", "15"]` as the numbers; `["all"]` as no numbers, which stands for all; nothing as None."""
    if not texts:
        return None
    if list(texts) == [ALL]:
        return ()
    numbers: list[int] = []
    for text in texts:
        if re.fullmatch(r"\d+(-\d+)?", text) is None:
            raise _malformed(text)
        first, _, last = text.partition("-")
        if int(last or first) < int(first):
            raise _malformed(text)
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def _malformed(got: str) -> InputError:
    return problem("numbers of an observation and ranges of them, or all", repr(got), "write e.g. 0-6 15-20")


def _texts(numbers: tuple[int, ...] | None) -> list[str]:
    if numbers is None:
        return []
    return ranges(numbers).split() or [ALL]


Observed = Annotated[
    tuple[int, ...] | None,
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="N|N-M …|all",
        instance_from_str=parse_observed,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=_texts,
    ),
]
"""Numbers of an observation; none for all, None for those of the task."""

CHANGES_OBSERVATION = ("exclude_", "include_", "noise_numbers")
"""Keyword arguments of tasks that change what their observation holds start with one of these."""


def observed_by_default(env_id: str, env_kwargs: Mapping[str, Any], of_places: bool = False) -> tuple[int, ...]:
    """The numbers that a curiosity, or one `of_places`, sees of this task; none for all."""
    if any(name.startswith(CHANGES_OBSERVATION) for name in env_kwargs):
        return ()
    if of_places and env_id in STATE_AXES:
        return tuple(column for axis in STATE_AXES[env_id] for column in axis.columns)
    return OBSERVED.get(env_id, ())
