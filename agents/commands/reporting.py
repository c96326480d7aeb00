"""What a command says on standard error: reports of the library, and errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def print_error(message: str) -> None:
    """Print a message for the user on standard error, red where that is a terminal."""
    from rich.text import Text

    from rlgen.system.console import Console

    Console(stderr=True, soft_wrap=True).print(Text(f"error: {message}", style="bold red"))


class NoRepetition(logging.Filter):
    """Reports are shown once: a training makes several environments, all stepped alike. Warnings always pass."""

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
    """Show what the library reports (which backend, which device) while a command runs, from `level` on."""
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
