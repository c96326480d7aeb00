"""A command's output: the log and errors on standard error, and the check of a path to write."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlgen.errors import problem
from rlgen.system.files import require_no_file_above


def refuse_existing(path: Path, overwrite: bool, is_folder: bool = False) -> None:
    """Raise `InputError` if `path` exists and may not be overwritten, or a file has the name of its folder. Called
    before any work is done. `is_folder`: a folder will be written."""
    wrong_kind = path.exists() and path.is_dir() != is_folder
    if wrong_kind or (path.exists() and not overwrite):
        wanted, kind = ("folder" if each else "file" for each in (is_folder, path.is_dir()))
        remedy = f"choose another name, or add --overwrite for a {wanted}"
        raise problem(f"a new {wanted} to write", f"{path}, a {kind} that exists", remedy)
    require_no_file_above(path)


def print_error(message: str) -> None:
    """Print a message for the user on standard error, red in a terminal."""
    from rich.text import Text

    from rlgen.system.console import Console

    Console(stderr=True, soft_wrap=True).print(Text(f"error: {message}", style="bold red"))


class NoRepetition(logging.Filter):
    """Passes each message below a warning only once, because a training makes several equal environments. Warnings
    always pass."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in self.shown or record.levelno > logging.INFO
        self.shown.add(text)
        return new


@contextmanager
def log_on_stderr(level: int = logging.INFO) -> Iterator[None]:
    """A context in which the library's log (which backend, which device) goes to standard error, from `level` on."""
    logger, handler = logging.getLogger("rlgen"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(NoRepetition())
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
