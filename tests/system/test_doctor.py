"""The diagnosis names everything a run needs and survives whatever is missing."""

import re
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from rlgen.system import doctor
from rlgen.system.doctor import diagnose
from rlgen.system.renderer import Renderer


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    monkeypatch.setattr(doctor, "find_renderer", lambda: Renderer("egl", "egl draws off-screen"))
    # Importing every optional package costs seconds and is not what is tested.
    monkeypatch.setattr(doctor, "OPTIONAL", {"data formats": ("json",), "other": ("no_such_package", "sb3_contrib")})
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)


def findings(tmp_path) -> dict[str, tuple[bool, str]]:
    return {finding.name: (finding.ok, finding.detail) for finding in diagnose(tmp_path)}


def test_a_machine_that_runs_the_tests_is_well(tmp_path):
    found = findings(tmp_path)
    assert all(ok for ok, _ in found.values()), found
    assert {"Python", "PyTorch", "device", "MuJoCo", "Gymnasium", "Stable-Baselines3", "disk"} <= set(found)
    assert found["data formats"][1] == "installed"
    assert found["other"][1] == "without no_such_package, sb3_contrib: pip install no_such_package sb3-contrib"
    assert "1 torch thread" in found["threads"][1]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mujoco", "MuJoCo"),
        ("gymnasium", "Gymnasium"),
        ("stable_baselines3", "Stable-Baselines3"),
        ("torch", "PyTorch"),
    ],
)
def test_a_missing_package_is_a_finding_and_not_a_crash(tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)  # importing it now raises ImportError
    ok, detail = findings(tmp_path)[name]
    assert not ok
    distribution = {"stable_baselines3": "stable-baselines3"}.get(module, module)
    assert re.search(f'pip install "?{distribution}', detail)


def test_a_missing_encoder_means_gifs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert findings(tmp_path)["video encoder"] == (True, "GIF only; for mp4: pip install imageio-ffmpeg")


@pytest.mark.parametrize(("version", "bug"), [("3.3.0", False), ("3.17.0", False), ("4.0.0", True), ("4.0.1", False)])
def test_the_solver_bug_of_one_mujoco_is_told_as_what_it_is(tmp_path, monkeypatch, version, bug):
    import mujoco

    monkeypatch.setattr(mujoco, "__version__", version)
    ok, detail = findings(tmp_path)["MuJoCo"]
    assert ok, "rlgen's tasks are right on every version"
    assert detail.startswith(version)
    assert ("sparse" in detail and "mujoco-core>=4.0.1" in detail) is bug


def test_no_renderer_and_no_room_are_findings(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "find_renderer", lambda: Renderer(None, "nothing draws here"))
    monkeypatch.setattr(doctor, "LOW_DISK_GIB", 1e9)
    found = findings(tmp_path)
    assert found["renderer"] == (False, "nothing draws here")
    assert not found["disk"][0]


def test_a_folder_that_is_not_there_is_a_finding(tmp_path):
    ok, detail = findings(tmp_path / "nowhere")["disk"]
    assert not ok
    assert "FileNotFoundError" in detail


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
