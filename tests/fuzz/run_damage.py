"""Damage to one file of a run folder, or to what lies there in its place."""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from numpy.random import Generator

from .byte_damage import damaged_bytes, damaged_file
from .csv_damage import damaged_csv
from .demonstrations import damaged_npz
from .hdf5_damage import SECRET
from .json_damage import damaged_json
from .model_damage import damaged_model
from .tensor_damage import damaged_tensors

MOST = 1000
"""Numbers in a configuration that ask for more work or memory than that are the user's wish, not damage."""
CHANGES: dict[str, Callable[[Generator, bytes], tuple[bytes, str]]] = {
    ".json": damaged_json,
    ".csv": damaged_csv,
    ".npz": damaged_npz,
    ".zip": damaged_model,
    ".safetensors": damaged_tensors,
}
LEFT_OUT = (".html", ".png", "")
"""Files that nothing reads, or that are shown as they are."""


def damage_run(rng: Generator, run: Path, *names: str) -> str:
    """Damages one of the files called `names`, or one of all, in place. A checkpoint's digests are mostly set right."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.suffix not in LEFT_OUT]
    if names:
        files = [path for path in files if path.name in names]
    path = files[int(rng.integers(len(files)))]
    if rng.random() < 0.08:
        return f"{path.relative_to(run)}: {_replaced(rng, path, run)}"
    change = CHANGES.get(path.suffix, damaged_bytes)
    if path.name == "config.json":
        change = partial(damaged_json, most=MOST)
    how = damaged_file(rng, path, change)
    if path.parent.parent.name == "checkpoints" and path.name != "manifest.json" and rng.random() < 0.9:
        manifest = path.with_name("manifest.json")
        described = json.loads(manifest.read_text())
        described["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(described))
    return how


def _replaced(rng: Generator, path: Path, run: Path) -> str:
    """Nothing, a folder, an empty file, a link or another of the run's files lies there."""
    kind = rng.choice(["gone", "folder", "empty", "link out", "link nowhere", "link to itself", "endless", "other"])
    others = [other for other in sorted(run.rglob("*")) if other.is_file()]
    other = others[int(rng.integers(len(others)))]
    content = other.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "link out":
        path.symlink_to(run.parents[1] / SECRET)
    elif kind == "link nowhere":
        path.symlink_to("nowhere")
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "other":
        path.write_bytes(content)
        return f"the content of {other.relative_to(run)}"
    return str(kind)


def damage_names(rng: Generator, run: Path) -> str:
    """A folder, or a link out of the run, where a file of that name is looked for."""
    name = str(rng.choice(["checkpoints/999999999999", "video.mp4", "samples.png", "visits.npz", "curves.png"]))
    path = run / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    if rng.random() < 0.5:
        path.mkdir()
        return f"an empty folder {name}"
    path.symlink_to(run.parents[1] / SECRET)
    return f"a link {name} out of the run"
