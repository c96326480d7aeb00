"""--import, module:Id and --env-kwargs, from recording to report; and that files have nothing imported."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import cli
from rlgen.agents.commands.environment import parse_kwargs
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.reports.comparison import group_runs
from rlgen.runs import RunFolder
from rlgen.runs.folder import UNFINISHED

from .conftest import SMALL

OWN = """
import gymnasium as gym, numpy as np
class Drift(gym.Env):
    def __init__(self, speed=0.1):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space, self.speed = gym.spaces.Box(-1, 1, (2,), np.float32), speed
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = np.ones(2, np.float32)
        return self.place, {}
    def step(self, action):
        self.place = (self.place + self.speed).astype(np.float32)
        return self.place, float(self.speed), False, False, {}
gym.register("NAME-v0", entry_point="NAME:Drift", max_episode_steps=10)
"""
EVIL = "from pathlib import Path\nPath('executed').touch()\n"
SHARED = ["--device", "cpu", "--no-video", "--episodes", "2", "--steps", "64", *SMALL["rl"].split()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that nothing is imported from, as under the console script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    return tmp_path


def forget(name: str) -> None:
    """As in a process that never imported the module."""
    import gymnasium as gym

    sys.modules.pop(name, None)
    gym.registry.pop(f"{name}-v0", None)


def test_keyword_arguments_are_pairs_or_one_json_object() -> None:
    texts = ["a=False", "b=true", "c=2", "d=0.5", "e=ant.xml", "f=(1, 2)", "g=None", 'h={"x": [1]}', "i=a=b"]
    assert parse_kwargs(texts) == {
        "a": False, "b": True, "c": 2, "d": 0.5, "e": "ant.xml", "f": [1, 2], "g": None, "h": {"x": [1]}, "i": "a=b",
    }  # fmt: skip
    assert parse_kwargs(['{"a": [1, 2], "b": null}']) == {"a": [1, 2], "b": None}


@pytest.mark.parametrize("text", ["frame_skip", "=2", "a b=2", '{"a": 1', "{1, 2}", "2"])
def test_malformed_keyword_arguments_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--env-kwargs NAME=VALUE …, or one JSON object; .*frame_skip=2"):
        parse_kwargs([text])


def test_an_own_environment_goes_through_every_command(here: Path, capsys) -> None:
    name = "drift_everywhere"
    Path(f"{name}.py").write_text(OWN.replace("NAME", name))
    where = ["--env", f"{name}:{name}-v0"]
    assert cli.main(["train", "rl", *where, "--env-kwargs", "speed=0.5", "--out", "ppo", *SHARED]) == 0
    config = RunFolder.open("ppo").config
    assert (config["env"], config["imports"], config["env_kwargs"]) == (f"{name}-v0", [name], {"speed": 0.5})

    record = ["demos", "record", "--policy", "ppo", *where, "--env-kwargs", "speed=0.5", "--episodes", "2"]
    assert cli.main([*record, "--out", "demos.npz"]) == 0
    demonstrations = Demonstrations.load("demos.npz")
    assert (demonstrations.env_id, demonstrations.metadata["env_kwargs"]) == (f"{name}-v0", {"speed": 0.5})

    shared = ["--device", "cpu", "--no-video", "--episodes", "2", *SMALL["bc"].split()]
    assert cli.main(["train", "bc", *where, "--demos", "demos.npz", "--out", "bc", *shared]) == 0
    assert 'were recorded with {"speed": 0.5}' in capsys.readouterr().err

    forget(name)
    sys.path.remove(str(here))
    for command in (["evaluate", "bc", "--episodes", "2"], ["resume", "bc"]):
        (here / "bc" / UNFINISHED).touch()  # so that there is something to resume
        assert cli.main(command) == 2
        assert f"rlgen {command[0]} bc --import {name}" in capsys.readouterr().err
        assert name not in sys.modules
    assert cli.main(["evaluate", "bc", "--episodes", "2", "--import", name]) == 0
    assert cli.main(["resume", "bc", "--import", name]) == 0
    assert cli.main(["report", "bc", "ppo"]) == 0


def test_an_evaluation_has_the_runs_keyword_arguments_unless_others_are_given(here: Path) -> None:
    name = "drift_evaluated"
    Path(f"{name}.py").write_text(OWN.replace("NAME", name))
    train = ["train", "rl", "--env", f"{name}:{name}-v0", "--env-kwargs", "speed=0.5", "--out", "run", *SHARED]
    assert cli.main(train) == 0
    found = {}
    for given in ([], ["--env-kwargs", "speed=0.25"]):
        out = Path(f"{len(given)}.json")
        assert cli.main(["evaluate", "run", "--episodes", "2", "--out", str(out), *given]) == 0
        found[len(given)] = json.loads(out.read_text())
    assert (found[0]["return_mean"], found[0]["env_kwargs"]) == (5.0, {"speed": 0.5})
    assert (found[2]["return_mean"], found[2]["env_kwargs"]) == (2.5, {"speed": 0.25})
    assert found[0]["random_return"] is not None
    assert found[2]["random_return"] is None, "that of another environment"


def test_runs_with_other_keyword_arguments_are_other_experiments(tmp_path: Path) -> None:
    config = {"agent": "ppo", "env": "Ant-v5", "imports": [], "env_kwargs": {}}
    others = [{"env_kwargs": {"frame_skip": 2}}, {"imports": ["ants"]}]
    runs = [RunFolder(tmp_path / str(i), {**config, **other}) for i, other in enumerate([{}, *others])]
    assert [[run.path.name for run in group.runs] for group in group_runs(runs)] == [["0", "2"], ["1"]]


def test_demonstrations_of_other_keyword_arguments_are_told(point_demonstrations, caplog) -> None:
    env = make_vec("PointWorld-v0", 1)
    point_demonstrations.validate(env)
    assert not caplog.records
    env.env_kwargs = {"wind": 2}
    point_demonstrations.validate(env)
    assert 'keyword arguments {"wind": 2}' in caplog.text
    env.close()


@pytest.fixture
def evil(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that leaves a file when it is imported, on the path, as under `python -m`."""
    (here / "evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(here))
    return here


def run_of(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "policy.zip").write_bytes(b"")
    (folder / "versions.json").write_text("{}")
    settings = {"agent": "ppo", "out": str(folder), "env": "Ant-v5", **config}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("config", [{"env": "evil:X-v0"}, {"env": "X-v0", "imports": ["evil"]}])
@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_no_run_has_a_module_imported(command: str, config: dict, evil: Path, capsys) -> None:
    run = run_of(evil / "run", **config)
    assert cli.main([command, str(run)]) == 2
    assert f"rlgen {command} {run} --import evil" in capsys.readouterr().err
    assert not (evil / "executed").exists()
    cli.main([command, str(run), "--import", "evil"])
    assert (evil / "executed").exists(), "the module would have told"
    forget("evil")


@pytest.mark.parametrize("imports", [["evil"], []])
def test_a_runs_imports_are_not_needed_where_its_environment_is_known(imports: list[str], evil: Path) -> None:
    run = run_of(evil / "run", env="evil:Ant-v5", imports=imports)
    cli.main(["evaluate", str(run)])
    assert not (evil / "executed").exists()


@pytest.mark.parametrize("command", [["demos", "inspect"], ["demos", "convert"], ["train", "bc"]])
def test_no_demonstrations_have_a_module_imported(
    command: list[str], evil: Path, point_demonstrations: Demonstrations, capsys: Callable
) -> None:
    from dataclasses import replace

    replace(point_demonstrations, env_id="evil:X-v0").save(evil / "demos.npz")
    options = {
        "inspect": ["demos.npz"],
        "convert": ["demos.npz", "other.npz"],
        "bc": ["--env", "PointWorld-v0", "--demos", "demos.npz", "--out", "run", "--no-video", *SMALL["bc"].split()],
    }
    assert cli.main([*command, *options[command[-1]]]) == 0
    assert not (evil / "executed").exists()


def test_the_time_limit_may_be_a_keyword_argument(here: Path, capsys) -> None:
    name = "drift_unlimited"
    Path(f"{name}.py").write_text(OWN.replace("NAME", name).replace(", max_episode_steps=10", ""))
    train = ["train", "rl", "--env", f"{name}-v0", "--import", name, "--out", "run", *SHARED]
    assert cli.main(train) == 2
    assert "add --env-kwargs max_episode_steps=1000" in capsys.readouterr().err
    assert cli.main([*train, "--env-kwargs", "max_episode_steps=8"]) == 0
    result = json.loads(Path("run/result.json").read_text())
    assert np.isclose(result["episode_length_mean"], 8)
