"""Keyword arguments of our own task definitions: of their defaults' types, and the same on every backend."""

from typing import Any

import numpy as np
import pytest

from rlgen.envs import WarpOptions, make, make_vec
from rlgen.envs.ant import Ant
from rlgen.envs.planar_bodies import Hopper
from rlgen.envs.registry import make_task
from rlgen.errors import InputError


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"include_cfrc_ext_in_observation": "no"}, "as true or false.*'no'.*its default is True"),
        ({"terminate_when_unhealthy": 1}, "as true or false"),
        ({"frame_skip": "fast"}, "frame_skip of Ant as a whole number"),
        ({"frame_skip": 2.5}, "as a whole number"),
        ({"ctrl_cost_weight": None}, "as a number"),
        ({"healthy_z_range": [0.2]}, "as a list of 2"),
        ({"healthy_z_range": 1.0}, "as a list of 2"),
    ],
)
def test_an_argument_of_another_type_is_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_task(Ant, kwargs)


def test_arguments_as_json_has_them_are_taken() -> None:
    task = make_task(Ant, {"ctrl_cost_weight": 1, "healthy_z_range": [0.1, 2], "frame_skip": np.int64(2)})
    assert task.ctrl_cost_weight == 1
    assert list(task.healthy_z_range) == [0.1, 2]


@pytest.mark.parametrize("limit", [0, -2, "ten", 1.5])
def test_a_time_limit_that_is_none_is_refused(limit: object) -> None:
    with pytest.raises(InputError, match="max_episode_steps of at least 1, or -1 for none"):
        make_vec("Ant-v5", 1, env_kwargs={"max_episode_steps": limit})


@pytest.mark.parametrize("backend", ["threads", "gymnasium"])
def test_an_environment_tells_its_arguments(backend: str) -> None:
    kwargs = {"include_cfrc_ext_in_observation": False, "max_episode_steps": 7}
    env = make_vec("Ant-v5", 1, backend=backend, env_kwargs=kwargs)  # type: ignore[arg-type]
    assert env.env_kwargs == kwargs == {"include_cfrc_ext_in_observation": False, "max_episode_steps": 7}
    assert env.reset().shape == (1, 27)
    env.close()


def test_warp_takes_the_arguments_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs = {"exclude_current_positions_from_observation": False, "healthy_z_range": [0.1, 2], "max_episode_steps": 9}
    given: list[Any] = []
    monkeypatch.setattr(make, "DeviceEnv", lambda task, n_envs, limit, *_: given.append((task, limit)))
    make.make_device("Hopper-v5", 1, "cpu", kwargs)
    kwargs.pop("max_episode_steps")
    assert given == [(Hopper(**kwargs), 9)]


def test_warp_refuses_an_argument_that_the_task_definition_lacks() -> None:
    with pytest.raises(InputError, match="the task definition of Hopper-v5 has no xml_file"):
        make_vec("Hopper-v5", 1, backend="warp", env_kwargs={"xml_file": "hopper.xml"}, warp=WarpOptions(device="cpu"))
