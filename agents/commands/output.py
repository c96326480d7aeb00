"""Where a command may write."""

from pathlib import Path

from rlgen.errors import problem


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Nothing that exists is replaced unless asked, and that is said before any work is done."""
    if path.is_dir() or (path.exists() and not overwrite):
        kind = "a folder" if path.is_dir() else "a file that exists"
        raise problem("a new file to write", f"{path}, {kind}", "choose another name, or add --overwrite for a file")
    if not path.parent.is_dir():
        raise problem("an existing folder to write into", f"{path.parent}", "make it first")
