"""A command's output on standard error: the library's log, and errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


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
