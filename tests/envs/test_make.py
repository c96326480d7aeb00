"""make_vec: which backend serves what, and what it says of wrong arguments."""

import logging
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from rlgen.envs import CLASSIC_TASKS, TASKS, make_vec
from rlgen.errors import InputError
from rlgen.sb3 import GymnasiumVecEnv, SimVecEnv


def test_every_task_id_is_registered_with_gymnasium():
    for env_id in TASKS | CLASSIC_TASKS:
        limit = 1000 if env_id == "rlgen/DisabledAnt-v0" else 500
        assert gym.spec(env_id).max_episode_steps == (limit if env_id.startswith("rlgen/") else 1000)


def test_auto_takes_threads_where_a_task_is_defined(caplog):
    with caplog.at_level(logging.INFO, logger="rlgen"):
        env = make_vec("Hopper-v5", 2)
    assert isinstance(env, SimVecEnv)
    assert (env.env_id, env.backend, env.margin_rule) == ("Hopper-v5", "threads", "native")
    assert "Hopper-v5: stepped by threads" in caplog.text
    env.close()


def test_auto_takes_numpy_where_a_task_brings_its_own_equations(caplog):
    with caplog.at_level(logging.INFO, logger="rlgen"):
        env = make_vec("rlgen/SparseMountainCar-v0", 2)
    assert isinstance(env, SimVecEnv)
    assert (env.backend, env.margin_rule) == ("numpy", "native")
    assert "rlgen/SparseMountainCar-v0: stepped by NumPy" in caplog.text


def test_auto_takes_gymnasium_for_other_ids_and_says_why_where_that_is_asked(caplog):
    with caplog.at_level(logging.DEBUG, logger="rlgen"):
        env = make_vec("Pendulum-v1", 2)
    assert isinstance(env, GymnasiumVecEnv)
    assert (env.env_id, env.backend) == ("Pendulum-v1", "gymnasium")
    told = {record.levelno: record.getMessage() for record in caplog.records}
    assert told[logging.INFO] == "Pendulum-v1: stepped by gymnasium"
    assert "no task definition of 'Pendulum-v1'" in told[logging.DEBUG]
    env.close()


def test_auto_takes_gymnasium_for_keyword_arguments_that_the_task_has_not(caplog):
    with caplog.at_level(logging.INFO, logger="rlgen"):
        env = make_vec("Hopper-v5", 1, env_kwargs={"xml_file": "hopper.xml"})
    assert env.backend == "gymnasium"
    assert "has no xml_file" in caplog.text
    env.close()


def test_keyword_arguments_shape_the_observation():
    kwargs = {"include_cfrc_ext_in_observation": False}
    for backend in ("threads", "gymnasium"):
        env = make_vec("Ant-v5", 1, backend=backend, env_kwargs=kwargs)
        assert env.observation_space == gym.spaces.Box(-np.inf, np.inf, (27,), np.float32)
        assert env.reset().shape == (1, 27)
        env.close()
    assert kwargs == {"include_cfrc_ext_in_observation": False}


@pytest.mark.parametrize("backend", ["threads", "gymnasium"])
@pytest.mark.parametrize(("limit", "expected"), [(3, [3]), (-1, [])])
def test_max_episode_steps_is_gymnasium_makes(backend, limit, expected):
    env = make_vec("Swimmer-v5", 1, backend=backend, env_kwargs={"max_episode_steps": limit})
    env.reset()
    steps = [env.step(np.zeros((1, 2), np.float32)) for _ in range(5)]
    assert [info["episode"]["l"] for *_, [info] in steps if "episode" in info] == expected
    env.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env_id": "Ant-v99"}, r"registered Gymnasium environment; got 'Ant-v99' .*correct the id"),
        ({"env_id": "no_such_package:Ant-v5"}, "a module no_such_package that can be imported"),
        ({"env_id": "ant"}, "registered Gymnasium environment"),
        ({"n_envs": 0}, "at least one environment; got n_envs=0"),
        ({"seed": -1}, "a seed of 0 or more; got seed=-1"),
        ({"n_threads": 0}, "at least one thread; got n_threads=0"),
        ({"backend": "cuda"}, "a backend among auto, threads, numpy, gymnasium, warp; got 'cuda'"),
        ({"margin_rule": "old"}, "margin_rule native or legacy; got 'old'"),
        ({"margin_rule": "old", "backend": "gymnasium"}, "margin_rule native or legacy; got 'old'"),
        ({"env_id": "Pendulum-v1", "backend": "threads"}, r"got no task definition of 'Pendulum-v1'.*gymnasium"),
        ({"env_id": "Pendulum-v1", "margin_rule": "legacy"}, "a MuJoCo environment for margin_rule='legacy'"),
        ({"backend": "numpy"}, r"got a task that threads steps, and backend='numpy'; use backend=\"threads\""),
        ({"env_id": "rlgen/SparseMountainCar-v0", "backend": "threads"}, "a task that numpy steps"),
        ({"env_id": "rlgen/SparseMountainCar-v0", "margin_rule": "legacy"}, "a MuJoCo environment for margin_rule"),
        ({"backend": "threads", "env_kwargs": {"speed": 1}}, "the task definition of Ant-v5 has no speed"),
        ({"env_kwargs": {"speed": 1}}, r"keyword arguments that gymnasium.make\('Ant-v5'\) takes"),
        ({"env_kwargs": {"frame_skip": 0}}, "frame_skip of at least 1; got 0"),
        ({"env_kwargs": {"reset_noise_scale": -1.0}}, "reset_noise_scale"),
    ],
)
def test_wrong_arguments_are_refused_in_three_parts(arguments, message):
    with pytest.raises(InputError, match=message):
        make_vec(**{"env_id": "Ant-v5", "n_envs": 1} | arguments)


def test_importing_the_package_loads_neither_mujoco_nor_torch():
    heavy = "mujoco", "torch", "stable_baselines3"
    check = f"import sys, rlgen.envs; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
