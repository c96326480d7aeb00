"""The folder of a run: its files, and the lock of its writer."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlgen.display import Display
from rlgen.errors import problem
from rlgen.runs.config import REMEDY, json_text, present_config, read_object, restored, write_json
from rlgen.system import versions
from rlgen.system.files import LOCK, PARTIAL, atomic_write, locked, remove_partials, sync_folder

UNFINISHED = ".unfinished"
DISPLAY = "display.json"


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. It can be used as a path (`open(run / "x")` is `open(run.path / "x")`).

    It holds config.json, versions.json, display.json (how reports show it), metrics.csv, tensorboard/, checkpoints/,
    result.json and report.html. A run of an agent adds curves.png, video.mp4 (with codes video_code_0.mp4 …), after
    exploration visits.npz and, on a task with instructions, instruction_episodes.json. A run of an image model adds
    data.json, model.safetensors, model.json, samples.png and other pictures; folders of the same names hold the
    pictures made during the training.
    """

    path: Path
    config: dict[str, Any]
    shown: Display | None = None
    """Display settings of a run that recorded none, as in earlier versions."""

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
        """Make the run in a new or empty folder and record its configuration, seed and versions.

        `config` has JSON values, and is kept as a resumed run will read it (tuples as lists). `seed`, if given, becomes
        its `seed` entry. `display`: how reports show the run. Raises `InputError` if the folder is not empty, if `path`
        is a file, and if another process starts a run in the same folder at the same time.
        """
        folder = Path(path)
        text = json_text(dict(config) if seed is None else {**config, "seed": seed}, non_finite="refuse")
        _refuse_contents(folder)  # before a lock file is left there
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _refuse_contents(folder)
            write_json(folder / "versions.json", versions.describe(device))
            if display is not None:
                write_json(folder / DISPLAY, display)
            atomic_write(folder / "config.json", text)  # last, because a folder with this file counts as a run
        return cls(folder, json.loads(text))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunFolder":
        """The run at `path`. Raises `InputError` if there is none, and for links in it that lead out of it: through
        them, a folder from elsewhere could have any file of this machine read, reported or written."""
        folder = Path(path)
        if not (folder / "config.json").is_file():
            got = "a folder without config.json" if folder.is_dir() else "no such folder"
            raise problem(f"a run folder at {folder}", got, "give the folder that `rlgen train … --out` wrote")
        _refuse_links(folder)
        return cls(folder, present_config(read_object(folder / "config.json")))

    @property
    def versions(self) -> dict[str, Any]:
        """The contents of versions.json, recorded when the run started. Raises `InputError` if they are malformed."""
        found = read_object(self.path / "versions.json")
        packages, commit = found.setdefault("packages", {}), found.setdefault("git_commit", None)
        named = isinstance(packages, dict) and all(isinstance(version, str) for version in packages.values())
        if not named or not isinstance(commit, str | None) or not isinstance(found.get("sittings", []), list):
            what = f"packages' versions by name, a commit and a list of resumes in {self.path / 'versions.json'}"
            raise problem(what, "other types", REMEDY)
        return found

    @property
    def display(self) -> Display:
        """The recorded display settings; without a record `shown`, or settings with the agent's name."""
        path = self.path / DISPLAY
        if path.is_file():
            return restored(Display, read_object(path), DISPLAY)
        return self.shown or Display(name=str(self.config.get("agent", "run")).upper())

    def note_display(self, display: Display) -> None:
        """Write DISPLAY, so that the run can be reported without the agent's code."""
        write_json(self.path / DISPLAY, display)

    @property
    def agent_name(self) -> str:
        """Name of the agent or model in reports, e.g. GAIL, PPO + VIME, VAE."""
        return self.display.name

    @property
    def videos(self) -> list[Path]:
        """The recorded videos (mp4, else GIF), ordered by code if the policy has codes."""
        found = [
            sorted(self.path.glob(f"video*{kind}"), key=lambda path: (len(path.name), path.name))
            for kind in (".mp4", ".gif")
        ]
        return found[0] or found[1]

    @property
    def finished(self) -> bool:
        """Whether the run is complete, with evaluation and report; also of a copied folder. A report alone does not
        show this, because `rlgen report` writes it for unfinished runs too, nor does a result, which is written before
        the video."""
        return (self.path / "result.json").is_file() and not (self.path / UNFINISHED).exists()

    def begin(self, length: int | None = None) -> None:
        """Mark the run as unfinished until `end`. `length`: steps or updates of the training in all, if known."""
        atomic_write(self.path / UNFINISHED, "" if length is None else str(length))

    @property
    def length(self) -> int | None:
        """Steps or updates of an unfinished run in all; None where it is not known, as of a training that ends by
        itself."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.path / UNFINISHED).read_text(encoding="utf-8"))
        return None

    def end(self) -> None:
        """Mark the run as finished: all its files are written."""
        (self.path / UNFINISHED).unlink(missing_ok=True)
        sync_folder(self.path)

    def training_to(self, config: Mapping[str, Any]) -> "RunFolder":
        """The run with the steps or epochs of `config`, recorded if they changed. The folder must be locked."""
        text = json_text(dict(config), non_finite="refuse")
        changed = json.loads(text)
        if all(self.config.get(name) == changed.get(name) for name in ("steps", "epochs")):
            return self
        atomic_write(self / "config.json", text)
        return replace(self, config=changed)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder during a training, and delete files that a killed one left incomplete. Raises `InputError` if
        another process holds the lock."""
        with locked(self.path):
            remove_partials(self.path)
            yield

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name


def _refuse_contents(folder: Path) -> None:
    """Raise `InputError` unless `folder` is absent or empty (leftovers of a killed start do not count)."""
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
            f"choose another --out, or continue with `rlgen resume {folder}`",
        )
    if names:
        got = f"one with {len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        raise problem(f"a new or empty folder at {folder}", got, "choose another --out")


def _refuse_links(folder: Path) -> None:
    root = folder.resolve()
    for parent, folders, files in os.walk(root):
        for path in (Path(parent, name) for name in (*folders, *files)):
            # realpath, because Path.resolve raises an error for a link to itself
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                got = f"the link {path.relative_to(root)} to {path.readlink()}"
                raise problem(f"a run whose files are all in {folder}", got, "put a copy of the file in its place")
