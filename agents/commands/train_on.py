"""A run that trains on: the same settings with more steps."""

import math
from dataclasses import replace

from rlgen.errors import problem
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.config import to_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.json_file import read_json, write_json

from ..soft_actor_critic import default_buffer_size
from .train_image import TrainImage
from .train_settings import RunSettings, SteppedTraining
from .train_vime import TrainVIME


def with_steps(folder: RunFolder, config: RunSettings, steps: float) -> RunSettings:
    """The settings of a run for `steps` steps (of an image model updates) in all. Changes nothing in the folder.

    Raises `InputError` for a run that does not count steps, and for no more of them than are done.
    """
    if not isinstance(config, SteppedTraining | TrainImage):
        expected = "a run that trains by steps for --steps"
        raise problem(expected, f"one of {folder.agent_name}", "start a new run, with another --bc.max-updates")
    found = list_checkpoints(folder)
    done = int(found[0].name.partition(".")[0]) if found else 0
    if not done < steps < math.inf or int(steps) == done:
        raise problem(
            f"--steps above the {done:,} that {folder.path} has done",
            f"{steps:g}",
            "count from the beginning of the run: its steps in all",
        )
    if isinstance(config, TrainImage):
        return replace(config, steps=steps, epochs=None)
    if isinstance(config, TrainVIME) and config.algo == "sac" and config.sac.buffer_size is None:
        size = default_buffer_size(int(config.steps), config.n_envs)  # a saved buffer keeps its size
        return replace(config, steps=steps, sac=replace(config.sac, buffer_size=size))
    return replace(config, steps=steps)


def note_steps(folder: RunFolder, config: RunSettings) -> RunFolder:
    """Record that the run has other steps from now on, where it has. The folder must be locked."""
    recorded = to_json(config.recorded())
    if all(folder.config.get(name) == recorded.get(name) for name in ("steps", "epochs")):
        return folder
    write_json(folder / "config.json", recorded)
    return RunFolder(folder.path, recorded)


def is_behind(folder: RunFolder, config: RunSettings) -> bool:
    """Whether the result is that of fewer steps than the run is to have: it was trained on, and stopped."""
    wanted = getattr(config, "steps", None)
    if wanted is None or not (folder / "result.json").is_file():
        return False
    result = read_json(folder / "result.json")
    return int(result.get("env_steps", result.get("steps", wanted))) < int(wanted)
