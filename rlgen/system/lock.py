"""A lock that keeps a run folder to one training at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rlgen.errors import problem

try:
    import fcntl
except ImportError:  # Windows has no advisory locks, so two trainings in one folder are not detected
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder`, which must exist. Raises `InputError` if another process holds the lock; a killed process
    releases it."""
    if fcntl is None:
        yield
        return
    # O_NOFOLLOW: a folder from an untrusted source may contain a symbolic link of this name.
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise problem(
                f"{folder} to be free", "a training that is still running there", "wait for it or stop it first"
            ) from error
        yield
    finally:
        os.close(handle)
