"""Writes folders that are complete or absent, even if the process is killed."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rlgen.errors import problem
from rlgen.system.files import PARTIAL, make_parent, sync_folder


@contextmanager
def whole_folder(path: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yields an empty folder to fill. It gets the name `path` when the block ends, and is removed if the block raises.
    The folders above it are made.

    Raises:
        InputError: at `path` exists something that is neither an empty folder nor of this kind according to
            `may_replace`, or a file has the name of a folder above it.
    """
    make_parent(path)
    there = path.exists() or path.is_symlink()
    if there and not (path.is_dir() and not path.is_symlink() and (may_replace(path) or not any(path.iterdir()))):
        raise problem("a new folder to write into", f"{path}, which holds something else", "choose another")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    old = partial.with_suffix(".old")
    partial.mkdir()
    try:
        yield partial
        if there:
            path.rename(old)
        try:
            partial.rename(path)
        except OSError:
            if there:
                old.rename(path)
            raise
        sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
