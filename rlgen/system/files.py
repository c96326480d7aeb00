"""Files that are complete or absent, even if the process is killed, and the lock of a folder."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from rlgen.errors import problem

PARTIAL = ".partial"


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` to `path` (text as UTF-8): readers see the old file or the new one, never an incomplete one.

    The bytes are on the disk before the file is renamed, so this also holds for a power cut. The folder must exist. An
    `OSError` names `path`, not the temporary file next to it.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(target)) from error
    finally:
        with contextlib.suppress(OSError):  # on a read-only disk the first error is the one to raise
            partial.unlink(missing_ok=True)
    sync_folder(target.parent)


def require_no_file_above(path: Path) -> None:
    """Raise `InputError` where a file has the name of a folder that is to contain `path`."""
    place = next(each for each in path.parents if each.exists() or each.is_symlink())
    if not place.is_dir():
        raise problem("a folder to write into", f"the file {place}", "choose another name")


def make_parent(path: Path) -> None:
    """Make the folder that is to contain `path`, with the folders above it. Raises as `require_no_file_above`."""
    require_no_file_above(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def remove_partials(folder: Path) -> None:
    """Remove the partial files that killed writers left in `folder` and its subfolders."""
    for path in [*folder.glob(f"*{PARTIAL}"), *folder.glob(f"*/*{PARTIAL}")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of `folder` to the disk. Does nothing outside POSIX, where a folder cannot be
    opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
