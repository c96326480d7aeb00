"""An agent of the user's own module is trained, resumed and benchmarked by its name."""

from pathlib import Path

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.bench_planning import resolved
from rlgen.bench.identity import identity_of
from rlgen.errors import InputError

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

from rlgen.agents.commands.train_noise import TrainNoise


@dataclass(frozen=True, kw_only=True)
class TrainMine(TrainNoise):
    agent: ClassVar[str] = "{agent}"

    loudness: float = 1.0
    \"\"\"Loudness of the noise.\"\"\"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Name of a module in the current folder; each test has its own, because imported modules stay."""
    name = f"mine_of_{request.node.originalname}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(agent=name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_it_is_trained_and_resumed_by_its_name(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--env", "Pendulum-v1", "--steps", "64", "--n-envs", "2", "--episodes", "1", "--threads", "1"]
    small += ["--evaluate-every", "0", "--no-video"]
    assert cli.main(["train", f"{module}:TrainMine", *small, "--loudness", "2", "--out", "run"]) == 0
    assert f'"agent": "{module}"' in (tmp_path / "run" / "config.json").read_text()
    assert cli.main(["resume", "run", "--import", module]) == 0


def test_a_run_never_imports_the_module_of_its_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"agent": "stranger"}')
    assert cli.main(["resume", str(tmp_path)]) == 2
    assert "name the module of an agent of your own: --import MODULE" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("json:dumps", "dumps of json, which is none"),
        ("json:nothing", "nothing of json, which is absent"),
        ("no_such_module:A", "neither installed nor in"),
        ("a b:A", "the name of a Python module"),
    ],
)
def test_what_is_no_agent_is_refused(target: str, refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        resolved(["train", target, "--env", "Pendulum-v1"])


def test_a_change_of_its_code_is_another_cell(module: str, tmp_path: Path) -> None:
    def identity() -> str:
        return identity_of(resolved(["train", f"{module}:TrainMine", "--env", "Pendulum-v1"]), "0.1", "native")

    before = identity()
    assert identity() == before
    path = tmp_path / f"{module}.py"
    path.write_text(path.read_text() + "# changed\n")
    assert identity() != before
