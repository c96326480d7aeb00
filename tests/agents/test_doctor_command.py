"""`rlgen doctor` tells a healthy machine from a broken one."""

from collections.abc import Iterator

import pytest

from rlgen.agents import cli
from rlgen.agents.commands import doctor
from rlgen.agents.commands.doctor import Finding


def report(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> int:
    """The exit code of the command when it finds these."""

    def found() -> Iterator[Finding]:
        yield from findings

    monkeypatch.setattr(doctor, "findings", found)
    return cli.main(["doctor"])


def test_this_environment_has_the_packages_that_rlgen_asks_for() -> None:
    (only,) = doctor.packages()
    assert only.verdict == "ok"
    assert "mujoco-core" in only.fact


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2.6", "no-such-package[extra]>=3"])
    missing, rest = doctor.packages()
    assert (missing.subject, missing.verdict) == ("no-such-package", "wrong")
    assert missing.remedy == 'pip install "no-such-package[extra]>=3"'
    assert "torch" in rest.fact


def test_a_version_out_of_range_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=99", 'numpy<1; extra == "dev"'])
    assert [each.verdict for each in doctor.packages()] == ["wrong", "ok"]


def test_mujoco_4_0_0_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mujoco.__version__", "4.0.0")
    found = doctor.mujoco()
    assert found.verdict == "wrong"
    assert "mujoco-core" in found.remedy


def test_stepping_is_measured_and_names_its_backend() -> None:
    assert "Ant-v5 on threads" in doctor.stepping(seconds=0.05).fact


def test_the_exit_code_tells_whether_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, Finding("a", "ok", "fine"), Finding("b", "note", "so-so", "could be better")) == 0
    assert report(monkeypatch, Finding("c", "wrong", "[broken]", "mend it")) == 1
    shown = capsys.readouterr().out
    assert "[broken]" in shown
    assert "mend it" in shown
