"""`rlgen doctor` tells a healthy machine from a broken one. The single checks: tests/runs/test_doctor.py."""

import pytest

from rlgen.agents import cli
from rlgen.agents.commands import doctor
from rlgen.runs.doctor import Finding


def test_this_environment_meets_rlgens_own_requirements() -> None:
    found = doctor.requirements()
    assert found.ok, found.detail


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2.6", "no-such-package[extra]>=3"])
    found = doctor.requirements()
    assert not found.ok
    assert found.detail == 'no-such-package none: pip install "no-such-package[extra]>=3"'


def test_a_version_out_of_range_is_named_and_an_extra_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["packaging>=9999", 'numpy<1; extra == "dev"'])
    found = doctor.requirements()
    assert not found.ok
    assert "packaging>=9999" in found.detail
    assert "numpy" not in found.detail


@pytest.mark.parametrize(("core", "ok"), [("4.0.1", False), ("4.0.0", True)])
def test_a_mujoco_that_pins_another_mujoco_core_is_named(monkeypatch: pytest.MonkeyPatch, core: str, ok: bool) -> None:
    monkeypatch.setattr(doctor, "version", {"mujoco": "4.0.0", "mujoco-core": core}.__getitem__)
    monkeypatch.setattr(doctor, "requires", lambda name: ["mujoco-core==4.0.0", "mujoco-studio==4.0.0"])
    found = doctor.mujoco_shell()
    assert found.ok is ok
    assert ("pip uninstall mujoco" in found.detail) is not ok


def test_stepping_is_measured_and_names_its_backend() -> None:
    assert "threads" in doctor.stepping(seconds=0.05).detail


def test_the_exit_code_tells_whether_something_cannot_be_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    well, broken = Finding("one", True, "fine"), Finding("extra [data]", False, "[broken]: mend it")
    monkeypatch.setattr(doctor, "findings", lambda: iter([well]))
    assert cli.main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "findings", lambda: iter([well, broken]))
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "extra [data]" in shown
    assert "[broken]: mend it" in shown
