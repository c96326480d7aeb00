"""The command line: help without torch, every command reachable, errors that a user can act on."""

import errno
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import tyro

import rlgen
from rlgen.agents import cli
from rlgen.agents.commands import table
from rlgen.errors import problem


@dataclass(frozen=True)
class Stub:
    """A command without options, whose `run` is `action`."""

    action: ClassVar[Callable[[], int | None]]

    def run(self) -> int | None:
        return type(self).action()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[Stub]:
    """Stands in for every command."""
    monkeypatch.setattr(cli, "load", lambda command: Stub)
    return Stub


def test_help_is_quick_and_imports_no_framework() -> None:
    probe = """
import json, sys, time
start = time.perf_counter()
from rlgen.agents.cli import main
code = main(["--help"])
print(json.dumps({"code": code, "seconds": time.perf_counter() - start, "modules": list(sys.modules)}))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["code"] == 0
    assert seen["seconds"] < 1.5
    assert {"torch", "numpy", "gymnasium", "stable_baselines3", "mujoco"} & set(seen["modules"]) == set()


@pytest.mark.parametrize(("chosen", "policy"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_waiting_threads_of_torch_sleep_unless_told_otherwise(chosen: str | None, policy: str) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("OpenMP's own report is asked of Linux's library")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "true"} | ({} if chosen is None else {"OMP_WAIT_POLICY": chosen})
    probe = "import sys; from rlgen.agents.cli import main; sys.exit(main(['evaluate', 'missing.zip']))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False, env=environment)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr


def test_help_teaches_every_command_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 100
    text = " ".join(shown.split())
    for command in cli.COMMANDS:
        assert command.summary in text
        assert f"$ {command.example}" in text
        assert command.example.startswith(f"rlgen {command.words}")


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rlgen {rlgen.__version__}\n"


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_every_command_loads_and_documents_its_options(
    command: cli.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.words.split(), "--help"])
    assert stop.value.code == 0
    assert f"usage: rlgen {command.words}" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_every_example_is_a_valid_command_line(command: cli.Command) -> None:
    found = table.find(shlex.split(command.example)[1:])
    assert found is not None
    assert found[0] is command
    kind = cli.load(command)
    assert isinstance(tyro.cli(kind, args=found[1]), kind)


def test_a_mistyped_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evalute", "runs/ant"]) == 2
    assert "did you mean `rlgen evaluate`?" in capsys.readouterr().err


def test_a_mistyped_first_word_still_finds_the_second(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian", "gail", "--env", "Ant-v5"]) == 2
    assert "no command `rlgen trian gail`; did you mean `rlgen train gail`?" in capsys.readouterr().err
    assert cli.main(["demos", "recrd"]) == 2
    assert "did you mean `rlgen demos record`?" in capsys.readouterr().err
    assert cli.main(["xyzzy"]) == 2
    assert "`rlgen --help` lists them" in capsys.readouterr().err


def test_a_group_without_its_second_word_lists_the_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demos"]) == 2
    text = capsys.readouterr().out
    assert "demos record" in text
    assert "train gail" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train gail --learner.lr 1", "--learner.lr; did you mean --learner.learning-rate?"),
        ("train gail --lr 1", "did you mean --learner.learning-rate?"),
        ("train rl --envv Ant-v5", "--envv; did you mean --env?"),
        ("train rl --n_env 3", "did you mean --n-envs?"),
        ("train rl --learner.no-normalyze", "did you mean --learner.no-normalize?"),
        ("evaluate run --episode=3", "--episode; did you mean --episodes?"),
        ("resume run --imports x", "did you mean --import?"),
        ("train gail --no-gail.warm-start", "did you mean --gail.no-warm-start?"),
        ("train gail --gail.warm_start false", "got --gail.warm_start false; type --gail.no-warm-start"),
        (
            "train gail --gail.warm-start=True",
            "--gail.no-warm-start, without a value; got --gail.warm-start true",
        ),
        ("train gail --no-video true --env Ant-v5", "expected --no-video or --video, without a value"),
        ("evaluate run --xyzzy", "`rlgen evaluate --help` lists them"),
        ("train rl --env Ant-v5 --out x --steps -5", "steps of at least 1"),
        ("train rl --env Ant-v5 --out x --learner.gamma 2", "gamma above 0 and at most 1"),
    ],
)
def test_a_wrong_option_is_one_message_of_our_own(words: str, message: str, capsys) -> None:
    assert cli.main(words.split()) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.startswith("error: expected ")
    assert "Error parsing" not in shown


def test_a_group_with_options_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--env", "Ant-v5"]) == 2
    assert "train gail" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "shown"), [("-q", "w"), ("--quiet", "w"), ("-v", "diw"), ("--verbose", "diw")])
def test_quiet_and_verbose_choose_what_is_reported(option: str, shown: str, stub: type[Stub], capsys) -> None:
    logger = logging.getLogger("rlgen")

    def report() -> None:
        logger.debug("d")
        logger.info("i")
        logger.warning("w")

    stub.action = staticmethod(report)
    assert cli.main(["doctor", option]) == 0
    assert "".join(capsys.readouterr().err.split()) == shown


def test_a_closed_pipe_is_silent() -> None:
    for words in ("--help", "doctor --help"):
        command = [sys.executable, "-m", "rlgen", *words.split()]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, "")


def test_no_color_means_neither_color_nor_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from rlgen.system.console import Console

    for value, styled in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        monkeypatch.setenv("TERM", "xterm-256color")
        out = io.StringIO()
        Console(file=out, force_terminal=True).print("[bold red]error")
        assert ("\x1b[" in out.getvalue()) is styled


def test_what_a_command_returns_is_the_exit_code(stub: type[Stub]) -> None:
    stub.action = staticmethod(lambda: 1)
    assert cli.main(["doctor"]) == 1
    stub.action = staticmethod(lambda: None)
    assert cli.main(["doctor"]) == 0


def test_an_input_error_is_one_message_without_a_traceback(
    stub: type[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> int:
        raise problem("105 numbers", "27", "record the file anew")

    stub.action = staticmethod(refuse)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "error: expected 105 numbers; got 27; record the file anew\n"


def test_an_error_of_ours_keeps_its_traceback(stub: type[Stub]) -> None:
    def fail() -> int:
        raise ValueError("a bug")

    stub.action = staticmethod(fail)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["doctor"])


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "got No space left on device at runs/x; make room on that disk"),
        (errno.EACCES, "got Permission denied at runs/x; choose a place you may write to"),
        (errno.EIO, "check the path and the disk"),
    ],
)
def test_what_the_system_refuses_is_one_message_without_a_traceback(
    number: int, message: str, stub: type[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise OSError(number, os.strerror(number), "runs/x")

    stub.action = staticmethod(fail)
    assert cli.main(["doctor"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: expected files and folders that can be read and written; got ")
    assert message in shown


def test_an_interrupt_exits_with_130(stub: type[Stub]) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    stub.action = staticmethod(interrupt)
    assert cli.main(["doctor"]) == 130


def test_a_report_is_shown_once_and_a_warning_each_time(stub: type[Stub], capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("rlgen")

    def report() -> int:
        for _ in range(3):
            logger.info("%s: stepped by threads", "Ant-v5")
        for _ in range(2):
            logger.warning("a damaged checkpoint")
        return 0

    stub.action = staticmethod(report)
    for _ in range(2):
        cli.main(["doctor"])
        shown = capsys.readouterr().err.splitlines()
        assert shown == ["Ant-v5: stepped by threads", "a damaged checkpoint", "a damaged checkpoint"]


def test_the_librarys_reports_show_while_a_command_runs_and_not_after(
    stub: type[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("rlgen")
    stub.action = staticmethod(lambda: logger.info("stepping on threads"))
    cli.main(["doctor"])
    logger.info("nobody listens")
    assert capsys.readouterr().err == "stepping on threads\n"
