"""What the documentation of curiosity says is so; `tests/test_docs_run.py` runs its code."""

import importlib
import re
from pathlib import Path

import yaml

from rlgen.agents import Curiosity
from rlgen.agents.curiosities import CURIOSITIES

TEXT = (Path(__file__).parents[2] / "docs" / "curiosity.md").read_text(encoding="utf-8")


def test_the_zoos_file_makes_callbacks() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (settings,) = yaml.safe_load(block).values()
    for entry in settings["callback"]:
        ((name, keywords),) = entry.items()
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), kind)(**keywords), Curiosity)


def test_every_curiosity_is_there_with_its_eta() -> None:
    for kind in CURIOSITIES.values():
        (row,) = re.findall(rf"^\| `{kind.__name__}` \|.*$", TEXT, re.MULTILINE)
        assert f"| {kind.usual_eta} |" in row
