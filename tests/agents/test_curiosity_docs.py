"""What the documentation of curiosity shows works."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlgen.agents import GAILConfig
from rlgen.agents.curiosity import CURIOSITIES
from rlgen.agents.curiosity_callbacks import CuriosityCallback
from rlgen.data import Demonstrations
from rlgen.data.shipped import shipped_demonstrations

TEXT = (Path(__file__).parents[2] / "docs" / "curiosity.md").read_text(encoding="utf-8")
SMALLER = {
    "1_000_000": "384",
    "update_every=500": "update_every=50",
    'PPO("MlpPolicy", ': 'PPO("MlpPolicy", n_steps=16, n_epochs=1, env=',
    'SAC("MlpPolicy", ': 'SAC("MlpPolicy", learning_starts=350, env=',
    'Demonstrations.load("ant.npz")': 'Demonstrations.load("ant.npz"), NO_WARM_START',
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_every_block_of_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With three rollouts of eight environments, and a demonstration at ant.npz in the present folder."""
    Demonstrations.load(shipped_demonstrations("Ant-v5")).first(1).save(tmp_path / "ant.npz")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"NO_WARM_START": GAILConfig(warm_start=False)}
    small = "\n".join(blocks("python"))
    for shown, run in SMALLER.items():
        assert shown in small
        small = small.replace(shown, run)
    exec(compile(small, "docs/curiosity.md", "exec"), names)
    assert names["other"].num_timesteps == 2 * 384
    assert names["vime"].source.updates == 3
    assert names["again"].source.updates == 6


def test_the_zoos_file_makes_callbacks() -> None:
    (block,) = blocks("yaml")
    (settings,) = yaml.safe_load(block).values()
    for entry in settings["callback"]:
        ((name, keywords),) = entry.items()
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), kind)(**keywords), CuriosityCallback)


def test_every_curiosity_is_there_with_its_eta() -> None:
    for kind in CURIOSITIES.values():
        (row,) = re.findall(rf"^\| `{kind.__name__}` \|.*$", TEXT, re.MULTILINE)
        assert f"| {kind.usual_eta} |" in row
        assert f"`{kind.__name__}Callback`" in TEXT
