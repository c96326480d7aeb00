"""The wheel as a stranger meets it: built from the sources, installed alone, run far from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools leaves build folders behind and would pack stale files from them."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("rlgen", "agents", "envs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(copy),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("rlgen-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds nothing but the wheel."""
    prefix = tmp_path_factory.mktemp("stranger") / "env"
    venv.create(prefix, with_pip=False)
    scripts, site = prefix / "bin", next(prefix.glob("lib/python3*/site-packages"))
    install = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tops = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"rlgen"}, "only the name rlgen may become importable"
    return scripts


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run with this environment's third-party packages within reach, but not its .pth files: no editable install."""
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    targets = {"rlgen": "rlgen", "agents": "rlgen/agents", "envs": "rlgen/envs"}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder)}"
        for folder, target in targets.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected


def test_the_wheel_carries_its_license(wheel: Path) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_only_rlgen_becomes_importable_and_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    probe = "import rlgen, rlgen.agents, rlgen.envs; print(rlgen.__file__, rlgen.agents.__file__, rlgen.envs.__file__)"
    done = run([str(installed / "python"), "-c", probe], tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(str(installed.parent) in path for path in done.stdout.split())


@pytest.mark.parametrize("name", ["agents", "envs"])
def test_the_top_level_names_agents_and_envs_stay_free(installed: Path, tmp_path: Path, name: str) -> None:
    done = run([str(installed / "python"), "-c", f"import {name}"], tmp_path)
    assert "ModuleNotFoundError" in done.stderr


def test_the_command_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    done = run([str(installed / "rlgen"), "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rlgen train gail" in done.stdout


CLIENT = """
from typing import Any

from rlgen.agents import BC, GAIL, VIME, GAILConfig
from rlgen.data import Demonstrations
from rlgen.envs import make_device, make_vec
from rlgen.generators import VAE, ImageShape
from rlgen.nn import Bottleneck
from rlgen.rewards import AdversarialConfig
from rlgen.runs import Result
from rlgen.sb3 import Relabel


def use(model: Any, result: Result) -> None:
    demonstrations = Demonstrations.load("ant.npz")
    reveal_type(GAIL(model, demonstrations).learn(1_000))  # type: rlgen.agents.gail.GAIL
    reveal_type(BC(model, demonstrations).learn())  # type: rlgen.agents.bc_config.BCResult
    reveal_type(demonstrations.every(20))  # type: rlgen.data.demonstrations.Demonstrations
    reveal_type(VAE(ImageShape(channels=1, height=8, width=8)).config.latent)  # type: int
    reveal_type(result.env_steps)  # type: int
    GAIL(model, "ant.npz")  # error: arg-type
    GAIL(model, demonstrations).learn("many")  # error: arg-type
    GAILConfig(discriminator=AdversarialConfig(hidden=128))  # error: arg-type
    make_vec("Ant-v5", n_envs="two")  # error: arg-type
    make_device("Ant-v5", 2, color="red")  # error: call-arg
    VIME(eta="small")  # error: arg-type
    Bottleneck(limit="none")  # error: arg-type
    Relabel({"far": 1})  # error: dict-item
"""


def test_a_type_checker_sees_the_types_of_every_package(installed: Path, tmp_path: Path) -> None:
    """mypy finds what the lines of `CLIENT` say. Third-party packages are out of its reach, which makes it quick."""
    client = tmp_path / "client.py"
    client.write_text(CLIENT, encoding="utf-8")
    options = ["--python-executable", str(installed / "python"), "--cache-dir", str(tmp_path / "cache")]
    mypy = [sys.executable, "-m", "mypy", *options, "--hide-error-context", client.name]
    done = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)
    said_of = [line for line in done.stdout.splitlines() if line.startswith(client.name)]
    found = {int(line.split(":")[1]): line for line in said_of if "error: " in line or "Revealed" in line}
    for number, line in enumerate(CLIENT.splitlines(), 1):
        _, said, expected = line.partition("  # ")
        if not said:
            assert number not in found, found[number]
        elif expected.startswith("type: "):
            assert f'Revealed type is "{expected.removeprefix("type: ")}"' in found[number]
        else:
            assert found[number].endswith(f"[{expected.removeprefix('error: ')}]")
