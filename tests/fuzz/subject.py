"""What is damaged and then used: a kind of file or folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A format with a whole example of it, ways to damage that, and what a user does with it."""

    name: str
    example: str
    """Name of the whole example, which several formats may share."""
    build: Callable[[Path], None]
    """Writes the whole example into an empty folder."""
    damage: Callable[[Generator, Path], str]
    """Damages a copy of that folder in place and says in one line how."""
    use: Callable[[Path], None]
    """Reads the copy through the commands that a user has for it."""
    weight: float = 1.0
    """Its share of the cases, relative to the others'."""
