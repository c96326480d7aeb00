"""A folder belongs to one training at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rlgen.errors import problem

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, so two trainings of one folder are not caught there
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder`, which must exist. Raises `InputError` while another process holds it; a killed one does not."""
    if fcntl is None:
        yield
        return
    # A link by that name, in a folder from elsewhere, is not followed.
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
