"""`import rlgen` costs nothing and changes nothing: the parts are imported by those who use them."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROBE = """
import json, logging, random, sys, time, warnings
state, handlers, filters = random.getstate(), list(logging.root.handlers), list(warnings.filters)
start = time.perf_counter()
import rlgen
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "modules": sorted(sys.modules),
    "version": rlgen.__version__,
    "random_untouched": random.getstate() == state,
    "logging_untouched": logging.root.handlers == handlers and not logging.getLogger("rlgen").handlers,
    "warnings_untouched": warnings.filters == filters,
}))
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a fresh interpreter in an empty folder sees of `import rlgen`."""
    folder = tmp_path_factory.mktemp("empty")
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"stderr": done.stderr, "written": [path.name for path in folder.iterdir()]}


def test_import_takes_less_than_three_seconds(probe: dict) -> None:
    assert probe["seconds"] < 3


def test_import_loads_no_framework(probe: dict) -> None:
    heavy = {"torch", "numpy", "gymnasium", "mujoco", "stable_baselines3", "matplotlib", "tyro", "rich"}
    assert heavy & set(probe["modules"]) == set()


def test_import_prints_and_writes_nothing(probe: dict) -> None:
    assert (probe["stderr"], probe["written"]) == ("", [])


def test_import_leaves_randomness_logging_and_warnings_alone(probe: dict) -> None:
    assert probe["random_untouched"]
    assert probe["logging_untouched"]
    assert probe["warnings_untouched"]


def test_every_package_imports_from_an_empty_folder(tmp_path: Path) -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    names = tomllib.loads(project.read_text())["tool"]["setuptools"]["packages"]
    command = [sys.executable, "-c", f"import {', '.join(names)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
