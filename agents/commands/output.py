"""The check of a path that a command will write."""

from pathlib import Path

from rlgen.errors import problem


def refuse_existing(path: Path, overwrite: bool, is_folder: bool = False) -> None:
    """Raise `InputError` if `path` exists and may not be overwritten, or if its folder does not exist. Called before
    any work is done. `is_folder`: a folder will be written."""
    wrong_kind = path.exists() and path.is_dir() != is_folder
    if wrong_kind or (path.exists() and not overwrite):
        wanted, kind = ("folder" if each else "file" for each in (is_folder, path.is_dir()))
        remedy = f"choose another name, or add --overwrite for a {wanted}"
        raise problem(f"a new {wanted} to write", f"{path}, a {kind} that exists", remedy)
    if not path.parent.is_dir():
        raise problem("an existing folder to write into", f"{path.parent}", "make it first")
