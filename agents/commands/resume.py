"""`rlgen resume`: continue a run that was stopped or killed, or extend it."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from rlgen.errors import InputError, problem
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.folder import DISPLAY, RunFolder
from rlgen.runs.result import Result

from .environment import Imports, import_typed
from .table import settings_of_agent

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Continue a run to its end with the settings it started with, or extend it with --steps.

    A run continues from its newest complete checkpoint, which holds the learning curve, random generators, optimizers
    and, with SAC, the replay buffer.
    Cloning (BC) writes no checkpoints, because it is short, and starts again with the same seed.
    """

    run_folder: tyro.conf.Positional[Path]
    """Folder of the run."""
    steps: float | None = None
    """Total number of steps to train to (updates of an image model), more than the run has done. A finished run is then
    evaluated and reported again, and keeps its result until that is done. A linear learning rate and a falling η are
    computed from the new total, so they jump up here."""

    imports: Imports = ()
    """Module that registers environments, installed or in the current folder. A module that the run's files name is
    imported only if it is given here."""

    def run(self) -> int:
        import_typed(self.imports)
        return resume(self.run_folder, self.steps)


def resume(run: Path, steps: float | None = None) -> int:
    """Continue the run in folder `run` from its newest checkpoint, to `steps` in all. Returns the exit code."""
    folder = RunFolder.open(run)
    settings = recorded_settings(folder)
    if steps is not None:
        _require_counted(folder, settings)
        _require_more(folder, steps)
        return settings.with_steps(steps).go_on(folder)
    if folder.finished and not _is_behind(folder, settings):
        more = " (--steps trains it on)" if getattr(settings, "steps", None) else ""
        log.info("%s is finished already; see its result.json%s", folder.path, more)
        return 0
    return settings.go_on(folder)


def recorded_settings(folder: RunFolder, changes: Mapping[str, Any] | None = None) -> Any:
    """The settings of the run in `folder`, but for `changes`. Raises `InputError` for an unknown agent, or
    settings that its class refuses."""
    values = {**folder.config, **(changes or {})}
    return settings_of_agent(values.pop("agent", None), folder.path).restored(values)


def _require_counted(folder: RunFolder, settings: Any) -> None:
    if not settings.counts_steps:
        raise problem(
            "a run whose length is counted in steps, for --steps",
            f"{folder.path}, a run of {folder.agent_name}, which has no length in steps",
            "start a new run with another --bc.max-updates",
        )


def shown(folder: RunFolder) -> RunFolder:
    """The run; one of an earlier version, which did not note how it is shown, as its settings show it."""
    if (folder / DISPLAY).is_file():
        return folder
    try:
        return replace(folder, shown=recorded_settings(folder).display())
    except InputError:  # settings of no agent, or of another version: its curves then have the names of their columns
        return folder


def _require_more(folder: RunFolder, steps: float) -> None:
    found = list_checkpoints(folder)
    done = int(found[0].name.partition(".")[0]) if found else 0
    if not done < steps < math.inf or int(steps) == done:
        raise problem(
            f"--steps above the {done:,} that {folder.path} has done",
            f"{steps:g}",
            "give the total of the run, counted from its start",
        )


def _is_behind(folder: RunFolder, settings: Any) -> bool:
    """Whether the result is of fewer steps than the settings have: the run was extended, and stopped before its end."""
    wanted = getattr(settings, "steps", None)
    if wanted is None or not (folder / "result.json").is_file():
        return False
    return Result.read(folder).steps < int(wanted)
