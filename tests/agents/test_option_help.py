"""--help fits the terminal and shows what is needed every day; --help-all shows the rest."""

import dataclasses
from pathlib import Path
from typing import Literal

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.parsing import field_texts, metavar_of


def shown_by(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(words.split())
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "--help-all"])
@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_help_of_every_command_fits_the_terminal(
    command: cli.Command, option: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = shown_by(f"{command.words} {option}", capsys)
    assert max(len(line) for line in shown.splitlines() if not line.startswith("usage:")) <= 80
    assert "{None" not in shown
    assert " ".join(command.example.split()) in " ".join(shown.split())


def test_everyday_help_leaves_the_settings_of_parts_to_help_all(capsys: pytest.CaptureFixture[str]) -> None:
    short = shown_by("train gail --help", capsys)
    assert "--demos PATH" in short
    assert "--threads INT" in short
    assert "--learner.gamma" not in short
    assert "`rlgen train gail --help-all` lists the settings of --learner and --gail as well" in " ".join(short.split())
    whole = shown_by("train gail --help-all", capsys)
    assert "--learner.gamma FLOAT" in whole
    assert "--gail.bc.patience INT" in whole


def test_help_tells_the_defaults_that_a_file_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"n_envs": 17, "learner": {"gamma": 0.875}}')
    shown = " ".join(shown_by(f"train rl --config {tmp_path / 'config.json'} --help-all", capsys).split())
    assert "(default: 17)" in shown
    assert "(default: 0.875)" in shown


def test_a_paragraph_of_several_source_lines_is_one_line_and_inherited() -> None:
    @dataclasses.dataclass
    class Base:
        width: int = 1
        """Of the
        base."""

    @dataclasses.dataclass
    class Derived(Base):
        height: int = 1
        """Its own."""

    assert field_texts(Derived) == {"width": "Of the base.", "height": "Its own."}


@pytest.mark.parametrize(
    ("hint", "metavar"),
    [
        (int | None, "INT"),
        (Path | None, "PATH"),
        (Literal["a", "b"] | None, "{a,b}"),
        (tuple[int, ...] | None, None),
        (int, None),
    ],
)
def test_none_is_no_part_of_how_a_value_is_written(hint: object, metavar: str | None) -> None:
    assert metavar_of(hint) == metavar
