"""Checkpoints that survive a kill at any moment: complete or absent, verified on reading; the last two are kept."""

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from rlgen import distributed
from rlgen.errors import InputError, problem
from rlgen.runs.state_tree import decode, encode
from rlgen.system.files import PARTIAL, sync_folder

FORMAT = 1
KEEP = 2
LONGEST = 300
STATE, TENSORS, MANIFEST = "state.json", "tensors.safetensors", "manifest.json"

_NAME = re.compile(r"(\d{12,})(\.replaced)?")
log = logging.getLogger("rlgen")


class Checkpoint(NamedTuple):
    """A loaded checkpoint; unpacks as `step, state = load_checkpoint(folder)`."""

    step: int
    state: dict[str, Any]


def save_checkpoint(
    folder: str | os.PathLike[str], step: int, state: dict[str, Any], *, final: bool = False, keep: int = KEEP
) -> Path:
    """Write `state` under FOLDER/checkpoints and delete all but the last `keep` (final ones are never deleted).

    `step`: environment steps so far. `state`: nested dict whose leaves are torch tensors, NumPy arrays or JSON values;
    it is restored exactly, with tensors on the CPU and tuples as lists. Raises `InputError` for other leaves.
    """
    parent = Path(folder) / "checkpoints"
    parent.mkdir(parents=True, exist_ok=True)
    tree, tensors = encode(state)
    partial = parent / f"{step:012d}.{secrets.token_hex(4)}{PARTIAL}"
    partial.mkdir()
    try:
        _save_tensors(tensors, partial / TENSORS)
        (partial / STATE).write_text(json.dumps(tree, allow_nan=False), encoding="utf-8")
        digests = {name: _digest(partial / name) for name in (STATE, TENSORS)}
        manifest = {"format": FORMAT, "step": step, "final": final, "sha256": digests}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        _sync(partial)
        return _publish(partial, parent / f"{step:012d}", keep)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """The newest complete checkpoint of a run folder; damaged newer ones are skipped, with a warning in the log.

    Raises `InputError` if there is none, or none that can be read.
    """
    paths = list_checkpoints(folder)
    if not paths:
        remedy = "start the run again: it was stopped before its first one"
        raise problem(f"a checkpoint in {Path(folder)}", "none", remedy)
    for path in paths:
        try:
            return _read(path)
        except Exception as error:  # any error: the checkpoint before it may be readable
            log.warning("checkpoint %s is damaged (%s); trying the one before it", path, _short(error))
    raise problem(f"a complete checkpoint in {Path(folder)}", f"{len(paths)} damaged ones", "start the run again")


@contextlib.contextmanager
def restoring(folder: str | os.PathLike[str], step: int) -> Iterator[None]:
    """A context in which a checkpoint's state is loaded: every error becomes an `InputError` that names the
    checkpoint."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # only restoring happens here, and a wrong state can raise any error
        path = Path(folder, "checkpoints", f"{step:012d}")
        remedy = "remove that checkpoint to continue from the one before it, or start the run again"
        raise problem(f"the state of this run's agent and environment in {path}", _short(error), remedy) from error


def last_good(folder: str | os.PathLike[str]) -> str:
    """A clause that names the newest checkpoint. States that are not finite are never written."""
    kept = list_checkpoints(folder)
    return f"the last good checkpoint is {kept[0]}" if kept else "there is no earlier checkpoint"


def list_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Checkpoint folders, newest first, without leftovers of interrupted writes. They may still be damaged."""
    found = []
    for path in Path(folder, "checkpoints").glob("*"):
        match = _NAME.fullmatch(path.name)
        if match and path.is_dir():
            found.append(((int(match[1]), match[2] is None), path))
    return [path for _, path in sorted(found, reverse=True)]


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # safetensors raises its own class for errors of the disk too
        found = re.search(r"\(os error (\d+)\)", str(error))
        code = None if found is None else int(found[1])
        raise OSError(code, str(error) if code is None else os.strerror(code), str(path)) from error


def _publish(partial: Path, target: Path, keep: int) -> Path:
    """Rename a complete checkpoint to its final name, then delete old ones."""
    replaced = target.with_name(target.name + ".replaced")
    if target.exists():
        # Between these two renames only `.replaced` exists; the loader reads it.
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    partial.rename(target)
    sync_folder(target.parent)
    for leftover in [*target.parent.glob(f"*{PARTIAL}"), *target.parent.glob("*.replaced")]:
        shutil.rmtree(leftover, ignore_errors=True)
    passing = [path for path in list_checkpoints(target.parent.parent) if not _is_final(path)]
    for old in passing[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def _read(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises an error of any class if it is damaged."""
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']}, this version reads {FORMAT}")
    for name, digest in manifest["sha256"].items():
        if _digest(path / name) != digest:
            raise ValueError(f"{name} differs from what was written")
    state = decode(json.loads((path / STATE).read_text(encoding="utf-8")), load_file(path / TENSORS))
    if not isinstance(state, dict) or manifest["step"] != int(path.name.partition(".")[0]):
        raise ValueError(f"not the state at step {path.name}")
    return Checkpoint(int(manifest["step"]), state)


def _is_final(path: Path) -> bool:
    try:
        return bool(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["final"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _short(error: Exception) -> str:
    """The error on one line of limited length, because torch's errors have a line per layer."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Sync a folder's files and their names to the disk before the folder gets its final name."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


OTHERS = "others"


def with_others(state: dict[str, Any]) -> dict[str, Any]:
    """`state` as a checkpoint stores it: in process 0 with those of the others, ordered by rank."""
    if distributed.world_size() == 1:
        return state
    tree, tensors = encode(state)
    parts = (json.dumps(tree).encode(), save(tensors))
    texts, data = (_gather_bytes(part) for part in parts)
    if distributed.rank() != 0:
        return state
    return {**state, OTHERS: [decode(json.loads(text), load(each)) for text, each in zip(texts, data, strict=True)]}


def own_state(state: dict[str, Any]) -> dict[str, Any]:
    """This process's state in the result of `with_others`. Raises `InputError` for states of more or fewer
    processes."""
    others = state.get(OTHERS, [])
    if len(others) + 1 != distributed.world_size():
        got = f"{distributed.world_size()}"
        raise problem(f"{len(others) + 1} processes, as many as saved the checkpoint", got, "start as many")
    return [state, *others][distributed.rank()]


def _gather_bytes(own: bytes) -> list[bytes]:
    """In process 0 the messages of all others: first their lengths, then the messages, padded to the longest."""
    lengths = distributed.all_gather(torch.tensor([len(own)])).tolist()
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(own)] = torch.frombuffer(bytearray(own), dtype=torch.uint8)
    rows = distributed.gather_to_rank0(padded)
    if rows is None:
        return []
    others = zip(rows.view(distributed.world_size(), -1), lengths, strict=True)
    return [row[:length].numpy().tobytes() for row, length in others][1:]
