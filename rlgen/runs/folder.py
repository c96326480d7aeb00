"""A run is a folder: what is where in it, and who may write there."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlgen.display import Display
from rlgen.errors import problem
from rlgen.runs.config import REMEDY, restored
from rlgen.runs.earlier_config import present_config
from rlgen.runs.json_file import json_text, read_object, write_json
from rlgen.system import versions
from rlgen.system.atomic import PARTIAL, atomic_write, remove_partials, sync_folder
from rlgen.system.lock import LOCK, locked

UNFINISHED = ".unfinished"
DISPLAY = "display.json"


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. Works wherever a path does (`open(run / "x")` is `open(run.path / "x")`).

    It holds config.json, versions.json, display.json (how it is shown), metrics.csv, tensorboard/, checkpoints/,
    result.json and report.html; of an agent curves.png and video.mp4 (of a policy with codes video_code_0.mp4 …), and
    where it explored visits.npz; of an image model data.json, model.safetensors, model.json, samples.png and other
    pictures, with those on the way in folders of their names.
    """

    path: Path
    config: dict[str, Any]
    shown: Display | None = None
    """How it is shown where it has not noted that, as a run of an earlier version."""

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        config: Mapping[str, Any],
        *,
        seed: int | None = None,
        device: str = "cpu",
        display: Display | None = None,
    ) -> "RunFolder":
        """Start a run in a new or empty folder and record its configuration, seed and versions.

        `config` needs JSON values; it comes back as a resumed run will read it (tuples as lists). `seed`, when given,
        is its `seed` entry. `display`: how readers are shown the run. Raises `InputError` when the folder holds
        something or `path` is a file, and where another process starts a run in the same folder at the same time.
        """
        folder = Path(path)
        text = json_text(dict(config) if seed is None else {**config, "seed": seed}, non_finite="refuse")
        _refuse_contents(folder)  # before a lock is left there
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _refuse_contents(folder)
            write_json(folder / "versions.json", versions.describe(device))
            if display is not None:
                write_json(folder / DISPLAY, display)
            atomic_write(folder / "config.json", text)  # last, because a folder that has it counts as a run
        return cls(folder, json.loads(text))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """The run at `path`; raises `InputError` when there is none, and for links in it that lead out of it: whoever
        made the folder would choose which files of this machine are read, reported and written."""
        folder = Path(path)
        if not (folder / "config.json").is_file():
            came = "a folder without config.json" if folder.is_dir() else "no such folder"
            raise problem(f"a run folder at {folder}", came, "give the folder that `rlgen train … --out` wrote")
        _refuse_links(folder)
        return cls(folder, present_config(read_object(folder / "config.json")))

    @property
    def versions(self) -> dict[str, Any]:
        """What versions.json recorded when the run started; raises `InputError` where it is another file."""
        found = read_object(self.path / "versions.json")
        packages, commit = found.setdefault("packages", {}), found.setdefault("git_commit", None)
        named = isinstance(packages, dict) and all(isinstance(version, str) for version in packages.values())
        if not named or not isinstance(commit, str | None) or not isinstance(found.get("sittings", []), list):
            what = f"packages' versions by name, a commit and a list of sittings in {self.path / 'versions.json'}"
            raise problem(what, "other types", REMEDY)
        return found

    @property
    def display(self) -> Display:
        """How the run is shown to readers, as it noted; of one that noted nothing `shown`, or by its agent's name."""
        path = self.path / DISPLAY
        if path.is_file():
            return restored(Display, read_object(path), DISPLAY)
        return self.shown or Display(name=str(self.config.get("agent", "run")).upper())

    def note_display(self, display: Display) -> None:
        """Write DISPLAY, so that whoever has the folder can report it, without the agent's code as well."""
        write_json(self.path / DISPLAY, display)

    @property
    def agent_name(self) -> str:
        """What was trained as readers know it: GAIL; PPO + VIME; VAE."""
        return self.display.name

    @property
    def videos(self) -> list[Path]:
        """The recorded videos (mp4, else GIF), of a policy with codes in their order."""
        found = [
            sorted(self.path.glob(f"video*{kind}"), key=lambda path: (len(path.name), path.name))
            for kind in (".mp4", ".gif")
        ]
        return found[0] or found[1]

    @property
    def finished(self) -> bool:
        """Whether the run was evaluated and reported to its end, also in a copy. A report is no sign of that, because
        `rlgen report` writes it for unfinished runs too; nor is a result alone, which is there before the video."""
        return (self.path / "result.json").is_file() and not (self.path / UNFINISHED).exists()

    def begin(self) -> None:
        """From now on the run is unfinished, whatever happens, until `end`."""
        (self.path / UNFINISHED).touch()
        sync_folder(self.path)

    def end(self) -> None:
        """Everything that a finished run holds is there."""
        (self.path / UNFINISHED).unlink(missing_ok=True)
        sync_folder(self.path)

    def training_to(self, config: Mapping[str, Any]) -> "RunFolder":
        """The run with the steps or epochs of `config`, recorded where they are others. The folder must be locked."""
        text = json_text(dict(config), non_finite="refuse")
        changed = json.loads(text)
        if all(self.config.get(name) == changed.get(name) for name in ("steps", "epochs")):
            return self
        atomic_write(self / "config.json", text)
        return replace(self, config=changed)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while training, rid of what a killed one left half written. Raises `InputError` when another
        process holds it."""
        with locked(self.path):
            remove_partials(self.path)
            yield

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name


def _refuse_contents(folder: Path) -> None:
    """Raise unless `folder` is absent or empty (leftovers of a killed start do not count)."""
    if folder.is_file():
        raise problem(f"a folder at {folder}", "a file", "choose another --out")
    if not folder.is_dir():
        return
    names = sorted(
        item.name for item in folder.iterdir() if item.name not in (LOCK, UNFINISHED, DISPLAY, "versions.json")
    )
    names = [name for name in names if not name.endswith(PARTIAL)]
    if "config.json" in names:
        raise problem(
            f"a new or empty folder at {folder}",
            "a run",
            f"choose another --out, or go on with `rlgen resume {folder}`",
        )
    if names:
        came = f"one with {len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        raise problem(f"a new or empty folder at {folder}", came, "choose another --out")


def _refuse_links(folder: Path) -> None:
    root = folder.resolve()
    for parent, folders, files in os.walk(root):
        for path in (Path(parent, name) for name in (*folders, *files)):
            # realpath, because Path.resolve raises for a link to itself
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                came = f"the link {path.relative_to(root)} to {path.readlink()}"
                raise problem(f"a run whose files are all in {folder}", came, "put a copy of the file in its place")
