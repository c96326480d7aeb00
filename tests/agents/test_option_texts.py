"""Every option of a training has a text that stands alone, in plain words."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.option_help import field_texts

RIDDLES = re.compile(r"^Of\b|\b(told|beside|worlds?|spread|paid|pays|kinds?)\b", re.IGNORECASE)


def texts(kind: type[Any], prefix: str = "--") -> Iterator[tuple[str, str]]:
    """Option and text of a dataclass of settings, and of a learner in it."""
    hints, own = get_type_hints(kind), field_texts(kind)
    for each in dataclasses.fields(kind):
        yield f"{prefix}{each.name}", own.get(each.name, "")
        if each.name == "learner":
            yield from texts(hints[each.name], f"{prefix}{each.name}.")


COMMANDS = [command for command in cli.COMMANDS if command.words.startswith(("train", "resume", "demo"))]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_the_text_of_an_option_is_in_plain_words(command: cli.Command) -> None:
    settings = cli.settings_for(cli.load(command), [])
    wrong = {option: text for option, text in texts(settings) if RIDDLES.search(text)}
    assert not wrong
