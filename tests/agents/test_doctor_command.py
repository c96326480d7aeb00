"""`rlgen doctor` tells a healthy machine from a broken one. The single checks: tests/runs/test_doctor.py."""

from importlib.metadata import PackageNotFoundError

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


@pytest.mark.parametrize(
    ("mujoco", "core", "imported", "ok"),
    [
        ("4.0.0", "4.0.0", "4.0.0", True),
        ("4.0.0", "4.0.1", "4.0.1", True),  # the core was raised, over the files of the other
        ("4.0.0", "4.0.1", "", False),  # the other was installed over the raised core
        ("3.17.0", "4.0.1", "3.17.0", False),
        ("3.17.0", None, "3.17.0", True),
        (None, "4.0.1", "4.0.1", True),
    ],
)
def test_two_mujocos_in_one_folder_are_named(monkeypatch, mujoco, core, imported, ok) -> None:
    def version(name: str) -> str:
        number = {"mujoco": mujoco, "mujoco-core": core}[name]
        if number is None:
            raise PackageNotFoundError(name)
        return number

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "imported_mujoco", lambda: imported)
    found = doctor.mujoco_packages()
    assert found.ok is ok
    assert ('pip install "mujoco>=3.3"' in found.detail) is not ok
    assert all(number in found.detail for number in (mujoco, core) if number)


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
