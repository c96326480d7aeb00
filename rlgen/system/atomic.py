"""Files that are either whole or absent, whatever kills the process."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

PARTIAL = ".partial"


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` to `path` (text as UTF-8): readers see the old file or the new one, never a part.

    The bytes reach the disk before the name does, so this holds for a power cut too. The folder must exist. An
    `OSError` names `path`, not the file beside it that is written first.
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
        with contextlib.suppress(OSError):  # on a disk that cannot be written, the error that stands is the first one
            partial.unlink(missing_ok=True)
    sync_folder(target.parent)


def remove_partials(folder: Path) -> None:
    """Remove what writers that were killed have left in `folder` and the folders in it."""
    for path in [*folder.glob(f"*{PARTIAL}"), *folder.glob(f"*/*{PARTIAL}")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (POSIX; elsewhere a folder cannot be opened, and rename has to do)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
