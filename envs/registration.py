"""Ids of environments: registration of rlgen's own with Gymnasium, so that `gymnasium.make` accepts them after `import
rlgen.envs`; and the import of the modules of others, only of those named by the user, never by a file."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import find_highest_version, parse_env_id

from rlgen.errors import problem

MAX_EPISODE_STEPS = {
    "rlgen/DisabledAnt-v0": 1000,
    "rlgen/SparseAnt-v0": 500,
    "rlgen/SparseCartPoleSwingup-v0": 500,
    "rlgen/SparseDoublePendulum-v0": 500,
    "rlgen/SparseHalfCheetah-v0": 500,
    "rlgen/SparseHumanoid-v0": 500,
    "rlgen/SparseMountainCar-v0": 500,
    "rlgen/SwimmerGather-v0": 500,
}
"""Id → time limit."""
OF_MINIGRID = ("BabyAI-", "MiniGrid-")
"""Prefixes of the ids that the package minigrid registers."""


def register() -> None:
    """Add rlgen's ids to Gymnasium's registry, unless they are registered already."""
    for env_id, steps in MAX_EPISODE_STEPS.items():
        if env_id not in gym.registry:
            gym.register(
                env_id, "rlgen.envs.registration:make_single", max_episode_steps=steps, kwargs={"env_id": env_id}
            )


def make_single(env_id: str, **kwargs: Any) -> gym.Env:
    """One environment of an rlgen task. `kwargs`: fields of the task, and rendering arguments of `MujocoEnv`."""
    from dataclasses import fields

    from rlgen.sim.classic import ClassicEnv
    from rlgen.sim.task_env import TaskEnv

    from .registry import CLASSIC_TASKS, TASKS

    kind = CLASSIC_TASKS.get(env_id) or TASKS[env_id]
    names = {field.name for field in fields(kind)}
    settings = {name: value for name, value in kwargs.items() if name in names}
    others = {name: value for name, value in kwargs.items() if name not in names}
    if env_id in CLASSIC_TASKS:
        return ClassicEnv(CLASSIC_TASKS[env_id](**settings), **others)
    return TaskEnv(TASKS[env_id](**settings), **others)


def split_id(env_id: str) -> tuple[str, str]:
    """Split `my_package:Point-v0` into `("my_package", "Point-v0")`; the module is "" for an id without one."""
    module, _, own = env_id.rpartition(":")
    return module, own


def import_modules(names: Sequence[str]) -> None:
    """Import the modules that a user named, so that they register their environments.

    A module that is not installed is searched in the current folder. The folder is appended to the path and stays
    there for later imports of the module. Use it only for names typed by a user, because an import executes code.

    Raises `InputError` if a module is not found or its import fails.
    """
    for name in names:
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            raise problem("the name of a Python module", repr(name), "write it as in an import statement")
        if parts[0] not in sys.modules and find_spec(parts[0]) is None and str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        try:
            import_module(name)
        except Exception as error:
            here = f"neither installed nor in {Path.cwd()}"
            missing = isinstance(error, ModuleNotFoundError) and name.startswith(error.name or " ")
            got = f"{error}, {here}" if missing else f"{type(error).__name__}: {error}"
            remedy = "correct the name, or start in its folder" if missing else f'see python -c "import {name}"'
            raise problem(f"a module {name} that can be imported", got, remedy) from error


def registered_id(env_id: str, modules: Sequence[str] = (), command: str = "the same command") -> str:
    """The id without its module, with the newest version if it has none. Imports nothing but minigrid, for its ids.

    Args:
        env_id: an id, which may come from a file.
        modules: modules that were imported when the file was written, or that the user typed, for the error message.
        command: command that the error message recommends.

    Raises:
        InputError: the id is not registered with Gymnasium, or minigrid is missing for one of its ids.
    """
    module, own = split_id(env_id)
    if own.startswith(OF_MINIGRID):
        register_minigrid(own)
    try:
        namespace, name, version = parse_env_id(own)
        newest = find_highest_version(namespace, name) if version is None and own not in gym.registry else None
        return gym.spec(own if newest is None else f"{own}-v{newest}").id
    except gym.error.Error as error:
        named = [*dict.fromkeys([*modules, *([module] if module else [])])]
        absent = [each for each in named if each not in sys.modules]
        if not absent:
            raise _unknown(own, error, named) from error
        options = " ".join(f"--import {each}" for each in absent)
        raise problem(
            f"{own} to be registered",
            f"no such environment; a file names {', '.join(absent)} as its module, and files import nothing",
            f"if you trust that code, start where it can be imported and type: {command} {options}",
        ) from error


def register_minigrid(env_id: str) -> None:
    """Import the package minigrid, which registers its ids. Raises `InputError` where it is missing."""
    try:
        import_module("minigrid")
    except ModuleNotFoundError as error:
        got = f"a Python without it ({error})"
        raise problem(f"the package minigrid for {env_id}", got, "pip install 'rlgen[instructions]'") from error


def imported_id(env_id: str) -> str:
    """`registered_id` of an id from a user, after importing its module."""
    module, _ = split_id(env_id)
    if module:
        import_modules([module])
    return registered_id(env_id)


def _unknown(env_id: str, error: Exception, imported: Sequence[str]) -> Exception:
    """The error for an id that is not registered, although the modules named with it are `imported`."""
    names = ", ".join(imported)
    got = f"{env_id!r} ({error})"
    got += f", although {names} {'is' if len(imported) == 1 else 'are'} imported" if imported else ""
    other = "another module that registers it" if imported else "the package that registers it"
    remedy = f"correct the id, or import {other} (on the command line: --import MODULE)"
    return problem("the id of a registered Gymnasium environment", got, remedy)
