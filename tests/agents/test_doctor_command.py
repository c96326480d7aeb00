"""`rlgen doctor` tells a healthy machine from a broken one. The single checks: tests/system/test_doctor.py."""

import pytest

from rlgen.agents import cli
from rlgen.agents.commands import doctor
from rlgen.system.doctor import Finding


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
