"""The folder of a published model: its files, without paths of the machine that made it."""

import ntpath
import shutil
from pathlib import Path
from typing import Any

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.formats.minari import PREFIX
from rlgen.data.formats.whole_folder import whole_folder
from rlgen.reports.model_card import model_card
from rlgen.runs.bert_files import ENCODER
from rlgen.runs.config import read_object, write_json
from rlgen.runs.folder import DISPLAY, RunFolder
from rlgen.runs.instruction_files import SPEAKER
from rlgen.runs.model_files import CARD, DATA, WEIGHTS
from rlgen.runs.text_files import TOKENIZER
from rlgen.sb3.plain_policy import write_plain_policy
from rlgen.sb3.saved_model import read_saved_model
from rlgen.system.files import atomic_write

from .policy_training import DEMONSTRATIONS

PATHS = ("out", "demos", "expert", "reward", "data", "unlabelled", "start", "encoder", "classifier")
"""Settings that may be a path; of others only absolute ones are taken for a path."""


def publish(run: RunFolder, folder: Path, repository: str | None = None) -> Path:
    """Write the model of the finished `run` into the new `folder`, completely or not at all. `repository`: its name on
    the Hub, where the card is to load it from. Returns the folder.

    Raises:
        InputError: `folder` is not empty or in a file, or the run's files are damaged.
    """
    with whole_folder(folder, lambda there: False) as partial:
        if (run / "policy.zip").is_file():
            saved = read_saved_model(run / "policy.zip")
            write_plain_policy(saved, partial)
            shutil.copyfile(run / "policy.zip", partial / "policy.zip")
        else:
            for name in (WEIGHTS, CARD):
                shutil.copyfile(run / name, partial / name)
            if (run / SPEAKER).is_dir():
                shutil.copytree(run / SPEAKER, partial / SPEAKER)
        write_json(partial / "config.json", without_paths(run.config))
        for name in ("result.json", DISPLAY, DATA):
            if (run / name).is_file():
                write_json(partial / name, without_paths(read_object(run / name)))
        pictures = [run / f"{name}.png" for name in run.display.pictures]
        shown = [
            run / TOKENIZER,
            run / ENCODER,
            run / "curves.png",
            *pictures,
            *(run / f"{name}.txt" for name in run.display.texts),
        ]
        for path in [*run.videos, *(each for each in shown if each.is_file())]:
            shutil.copyfile(path, partial / path.name)
        files = tuple(sorted(each.name for each in partial.iterdir()))
        demonstrations = Demonstrations.load(run / DEMONSTRATIONS) if (run / DEMONSTRATIONS).is_file() else None
        card = model_card(run, demonstrations, name=folder.resolve().name, repository=repository, files=files)
        atomic_write(partial / "README.md", card.markdown())
    return folder


def without_paths(value: Any, place: str = "") -> Any:
    """JSON values with the last part of every path, which reveals neither folders nor the name of a user. An id of a
    Minari data set (minari:NAME) is not a path."""
    if isinstance(value, dict):
        return {name: without_paths(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [without_paths(each, place) for each in value]
    if not isinstance(value, str) or value.startswith(PREFIX):
        return value
    is_path = place in PATHS or ntpath.isabs(value) or ntpath.splitdrive(value)[0] or value.startswith(("~", "."))
    return ntpath.basename(value.rstrip("/\\")) if is_path else value
