"""Folders that are either whole or absent, whatever kills the process."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rlgen.errors import problem
from rlgen.system.atomic import PARTIAL, sync_folder


@contextmanager
def whole_folder(path: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """An empty folder to fill, which takes the name `path` when the block ends and is removed when it raises.

    Raises:
        InputError: at `path` lies something that is neither an empty folder nor one that `may_replace` says is of this
            kind, or the folder around it is missing.
    """
    if not path.parent.is_dir():
        raise problem("an existing folder to write into", f"{path.parent}", "make it first")
    there = path.exists() or path.is_symlink()
    if there and not (path.is_dir() and not path.is_symlink() and (may_replace(path) or not any(path.iterdir()))):
        raise problem("a new folder to write a data set into", f"{path}, which holds something else", "choose another")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    old = beside.with_suffix(".old")
    beside.mkdir()
    try:
        yield beside
        if there:
            path.rename(old)
        try:
            beside.rename(path)
        except OSError:
            if there:
                old.rename(path)
            raise
        sync_folder(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
