"""What a user names is imported, what a file names is not."""

import re
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from rlgen.envs import make_vec
from rlgen.envs.registration import import_modules, imported_id, registered_id, split_id
from rlgen.errors import InputError

POINT = """
import gymnasium as gym, numpy as np
class Point(gym.Env):
    observation_space, action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (1,))
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}
    def step(self, action):
        return np.zeros(2, np.float32), 0.0, False, False, {}
gym.register("NAME-v0", entry_point="NAME:Point", max_episode_steps=5)
gym.register("NAME-v2", entry_point="NAME:Point", max_episode_steps=5)
"""


@pytest.fixture
def own_module(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder that registers two versions of an environment of its name."""
    name = "own" + re.sub(r"\W", "", request.node.name)[:60]
    (tmp_path / f"{name}.py").write_text(POINT.replace("NAME", name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    return name


def test_an_id_is_a_module_and_a_name() -> None:
    assert split_id("my_package.tasks:Point-v0") == ("my_package.tasks", "Point-v0")
    assert split_id("rlgen/SparseAnt-v0") == ("", "rlgen/SparseAnt-v0")


def test_a_named_module_is_found_in_the_current_folder(own_module: str) -> None:
    assert imported_id(f"{own_module}:{own_module}-v0") == f"{own_module}-v0"
    assert own_module in sys.modules


def test_make_vec_takes_gymnasiums_way_to_name_a_module(own_module: str) -> None:
    env = make_vec(f"{own_module}:{own_module}-v2", 2)
    assert (env.env_id, env.reset().shape) == (f"{own_module}-v2", (2, 2))
    env.close()


def test_a_task_of_rlgen_behind_its_module_is_stepped_by_its_own_simulator() -> None:
    env = make_vec("rlgen.envs:rlgen/SparseMountainCar-v0", 1)
    assert (env.env_id, env.backend) == ("rlgen/SparseMountainCar-v0", "numpy")


def test_an_id_without_a_version_is_the_newest(own_module: str) -> None:
    assert imported_id(f"{own_module}:{own_module}") == f"{own_module}-v2"


def test_an_id_of_a_file_imports_nothing(own_module: str) -> None:
    with pytest.raises(InputError, match=f"files import nothing.*rlgen resume run --import {own_module}"):
        registered_id(f"{own_module}:{own_module}-v0", command="rlgen resume run")
    assert own_module not in sys.modules
    assert str(Path.cwd()) not in sys.path


def test_an_id_that_an_imported_module_does_not_register_is_to_be_corrected(own_module: str) -> None:
    with pytest.raises(InputError) as caught:
        imported_id(f"{own_module}:{own_module}Point-v0")
    assert f"although {own_module} is imported; correct the id" in str(caught.value)
    assert "a file names" not in str(caught.value)
    with pytest.raises(InputError, match=r"a file names absent_module as its module.*--import absent_module$"):
        registered_id("Point-v7", [own_module, "absent_module"])


def test_an_id_of_a_file_serves_once_its_module_was_imported(own_module: str) -> None:
    import_modules([own_module])
    assert registered_id(f"{own_module}:{own_module}-v0") == f"{own_module}-v0"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "No module named.*neither installed nor in .*; correct the name"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_in_words(source: str | None, message: str, own_module) -> None:
    path = Path(f"{own_module}.py")
    path.unlink() if source is None else path.write_text(source)
    with pytest.raises(InputError, match=message):
        import_modules([own_module])


def test_what_is_no_module_name_is_refused() -> None:
    with pytest.raises(InputError, match="the name of a Python module"):
        import_modules(["my_env.py; rm"])
    with pytest.raises(InputError, match="the name of a Python module"):
        import_modules(["../my_env"])


def test_an_unknown_id_is_refused_with_gymnasiums_suggestion() -> None:
    with pytest.raises(InputError, match=r"'Antt-v5' .*Did you mean: `Ant`.*--import MODULE"):
        imported_id("Antt-v5")
    assert "Antt-v5" not in gym.registry
