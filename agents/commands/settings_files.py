"""Files of settings that `rlgen train` reads before its other options: --config, --hyperparams."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rlgen.errors import problem

from .choices import taken

READERS = {"--config": "config_file", "--hyperparams": "hyperparams"}
"""Option of a file of settings → the module under rlgen.agents.commands that reads it."""


def without_config(chosen: type[Any], arguments: Sequence[str]) -> tuple[Any, list[str]]:
    """The settings read from the file of --config or --hyperparams (None without one), and the arguments without that
    option."""
    files, rest = {}, list(arguments)
    for option in getattr(chosen, "taken_first", ()):
        files[option], rest = taken(rest, option)
    given = [option for option, path in files.items() if path is not None]
    if len(given) > 1:
        raise problem("settings from one file", " and ".join(given), "give one of them, and type the other's settings")
    if not given:
        return None, rest
    module = import_module(f"rlgen.agents.commands.{READERS[given[0]]}")
    return module.defaults(chosen, Path(str(files[given[0]])), rest), rest
