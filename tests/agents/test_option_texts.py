"""Every option of the command line has a text that stands alone, in plain words."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from rlgen.agents import cli
from rlgen.agents.commands import table
from rlgen.agents.commands.parsing import field_texts
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.generators import GENERATORS

RIDDLES = re.compile(r"^Of\b|\b(told|beside|worlds?|spread|paid|pays|kinds?|anew)\b", re.IGNORECASE)
VERBS = re.compile(r"^(Also|Act|Divide|Keep|Learn|Play|Replace|Start|Write)\b")
"""A text begins with a noun phrase, not with one of these commands."""

CHOICES = [
    *((["train image", "--model", name]) for name in GENERATORS),
    *((["train explore", "--curiosity", name]) for name in CURIOSITIES),
    ["train rl", "--learner.algorithm", "sac"],
    *([command.words] for command in cli.COMMANDS if command.words != "doctor"),
]


def texts(kind: type[Any], prefix: str = "--") -> Iterator[tuple[str, str]]:
    """Option and text of a dataclass of settings, and of those nested in it."""
    hints, own = get_type_hints(kind), field_texts(kind)
    for each in dataclasses.fields(kind):
        nested = [hint for hint in (hints[each.name], *get_args(hints[each.name])) if dataclasses.is_dataclass(hint)]
        if each.name in own or not nested:
            yield f"{prefix}{each.name}", own.get(each.name, "")
        for hint in nested:
            yield from texts(hint, f"{prefix}{each.name}.")


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_the_text_of_an_option_is_in_plain_words(words: list[str]) -> None:
    command = next(command for command in cli.COMMANDS if command.words == words[0])
    settings = table.settings_for(table.load(command), words[1:])
    wrong = {option: text for option, text in texts(settings) if not text or RIDDLES.search(text) or VERBS.search(text)}
    assert not wrong
