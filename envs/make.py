"""Construction of vectorized environments with any backend."""

import logging
from dataclasses import fields
from typing import Any, get_args

import gymnasium as gym
import mujoco
import torch

from rlgen.errors import InputError, problem
from rlgen.sb3.gymnasium_vec_env import GymnasiumVecEnv
from rlgen.sb3.vec_env import ResumableVecEnv, SimVecEnv
from rlgen.sim.classic import ClassicSim
from rlgen.sim.device_env import DeviceEnv, NumpySim
from rlgen.sim.simulator import Simulator
from rlgen.sim.task import MarginRule
from rlgen.sim.threads import ThreadedSim
from rlgen.system.device import choose_device, device_name

from .backend import Backend, WarpOptions, with_old_keywords
from .registration import imported_id
from .registry import CLASSIC_TASKS, TASKS, make_task

log = logging.getLogger("rlgen")

DRAWING = ("render_mode", "width", "height", "camera_id", "camera_name", "default_camera_config")


def make_vec(
    env_id: str,
    n_envs: int,
    seed: int = 0,
    backend: Backend = "auto",
    n_threads: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    margin_rule: MarginRule = "native",
    *,
    warp: WarpOptions | None = None,
    infos: bool = False,
    **old: Any,
) -> ResumableVecEnv:
    """`n_envs` environments as one SB3 VecEnv, which resets automatically and reports `episode` infos (no Monitor
    needed).

    Environment i starts and steps like `gymnasium.make(env_id)` after `reset(seed=seed + i)`, with every backend (warp:
    in float32).

    >>> make_vec("HalfCheetah-v5", n_envs=2).reset().shape
    (2, 17)

    Args:
        env_id: a Gymnasium id, such as "Ant-v5", or "module:Point-v0", whose module is imported.
        n_envs: number of environments.
        seed: seed of environment 0; environment i has seed + i.
        backend: "threads" for the tasks of `TASKS`; "numpy" for those of `CLASSIC_TASKS`; "gymnasium" for any
            registered id; "auto" for the first of these that supports the id and arguments, which is logged. "warp":
            the tasks of `TASKS` in float32 on a GPU, see `make_device`.
        n_threads: threads of the threads backend, including the caller's; None for one per usable CPU. Results do not
            depend on it.
        env_kwargs: keyword arguments of `gymnasium.make`; all backends support `render_mode="rgb_array"`.
        margin_rule: how the contact margins of two geoms combine, see `rlgen.sim.task.MarginRule`.
        warp: device and memory of the warp backend; its `device`, `contacts` and `constraints` are also accepted as
            keywords of this function, for one version.
        infos: whether every step has Gymnasium's infos; without them steps are faster, and only the last step of an
            episode has infos. The gymnasium backend always has them, warp never.

    Raises:
        InputError: an argument is out of range, or the backend does not support the id or a keyword argument.
    """
    kwargs, options = dict(env_kwargs or {}), with_old_keywords(warp, old)
    _check(n_envs, seed, backend, n_threads, margin_rule)
    env_id = imported_id(env_id)
    _require_own_repeat(env_id, kwargs)
    ours = {name: value for name, value in kwargs.items() if name not in _drawing(kwargs)}
    if backend == "warp":
        if infos:
            raise problem("infos=False for the warp backend", "infos=True", 'use backend="threads"')
        sizes = options.contacts, options.constraints
        device_env = make_device(env_id, n_envs, options.device, ours, margin_rule, *sizes)
        return SimVecEnv(env_id, NumpySim(device_env), seed, kwargs)
    obstacle = _not_ours_because(env_id, ours)
    own = "numpy" if env_id in CLASSIC_TASKS else "threads"
    if backend in ("threads", "numpy") and (obstacle or backend != own):
        got = obstacle or f"a task that {own} steps, and backend={backend!r}"
        remedy = f'use backend="{"gymnasium" if obstacle else own}"'
        raise problem(f"{env_id} to have a task definition for these arguments", got, remedy)
    if backend == "gymnasium" or obstacle:
        known = obstacle and env_id in TASKS | CLASSIC_TASKS
        log.info("%s: stepped by gymnasium%s", env_id, f" ({obstacle})" if known else "")
        log.debug("%s: %s", env_id, obstacle or "backend gymnasium was requested")
        if "action_repeat" in kwargs and "max_episode_steps" not in kwargs:
            kwargs["max_episode_steps"] = _time_limit(env_id, dict(kwargs)) or -1
        return _on_gymnasium(env_id, n_envs, seed, kwargs, margin_rule)
    sim = _simulator(env_id, n_envs, n_threads, ours, margin_rule, infos)
    return SimVecEnv(env_id, sim, seed, env_kwargs)


def make_device(
    env_id: str,
    n_envs: int,
    device: str | torch.device = "auto",
    env_kwargs: dict[str, Any] | None = None,
    margin_rule: MarginRule = "native",
    contacts: int | None = None,
    constraints: int | None = None,
) -> DeviceEnv:
    """`n_envs` environments on MuJoCo Warp, whose observations and rewards are tensors on `device`. Call `reset` first.

    Args:
        env_id: an id of `TASKS`.
        n_envs: number of environments.
        device: auto, cpu, cuda or cuda:N. Use a CPU only for tests; the threads backend is many times faster there.
        env_kwargs: keyword arguments of `gymnasium.make`.
        margin_rule: see `rlgen.sim.task.MarginRule`.
        contacts: memory for contacts, per environment and shared by all; None for the task's value.
        constraints: memory for constraint rows of each environment; None for the task's value.

    Raises:
        InputError: an argument is out of range, Warp is not installed, the device is missing or has too little memory,
            or there is no task definition for these arguments.
    """
    kwargs = dict(env_kwargs or {})
    _check(n_envs, 0, "warp", None, margin_rule)
    env_id = imported_id(env_id)
    _require_own_repeat(env_id, kwargs)
    obstacle = _not_ours_because(env_id, kwargs) if env_id not in CLASSIC_TASKS else "its physics is not MuJoCo's"
    if obstacle:
        raise problem(f"one of {', '.join(TASKS)} for the warp backend", f"{env_id} ({obstacle})", 'use backend="auto"')
    place = device if isinstance(device, torch.device) else choose_device(device)[0]
    limit = _time_limit(env_id, kwargs)
    try:
        task = make_task(TASKS[env_id], kwargs)
        device_env = DeviceEnv(task, n_envs, limit, place, margin_rule, contacts, constraints)
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not any(word in str(error).lower() for word in ("memory", "alloc")):
            raise
        raise problem(
            f"memory for {n_envs} environments on {device_name(place)}", str(error), "make fewer environments"
        ) from error
    log.info("%s: stepped by warp on %s, margin rule %s", env_id, device_name(place), margin_rule)
    return device_env


def _check(n_envs: int, seed: int, backend: str, n_threads: int | None, margin_rule: str) -> None:
    if n_envs < 1:
        raise problem("at least one environment", f"n_envs={n_envs}", "give n_envs=1 or more")
    if seed < 0:
        raise problem("a seed of 0 or more", f"seed={seed}", "give a whole number that is not negative")
    if n_threads is not None and n_threads < 1:
        raise problem("at least one thread", f"n_threads={n_threads}", "leave n_threads out for one per CPU")
    if backend not in get_args(Backend):
        raise problem(f"a backend among {', '.join(get_args(Backend))}", repr(backend), 'use backend="auto"')
    if margin_rule not in get_args(MarginRule):
        raise problem(f"margin_rule {' or '.join(get_args(MarginRule))}", repr(margin_rule), "choose one of them")


def _require_own_repeat(env_id: str, kwargs: dict[str, Any]) -> None:
    """Raises `InputError` for `action_repeat` of an id that is not rlgen's own: Gymnasium's environments, which draw
    videos, do not have it."""
    if "action_repeat" in kwargs and not env_id.startswith("rlgen/"):
        raise problem(
            "action_repeat for a task of rlgen (rlgen/…)", env_id, "use frame_skip, if the environment has it"
        )


def _not_ours_because(env_id: str, kwargs: dict[str, Any]) -> str:
    """The reason why no simulator of rlgen supports the id with these arguments; "" if one does."""
    tasks = TASKS | CLASSIC_TASKS
    if env_id not in tasks:
        return f"no task definition of {env_id!r}; there are {', '.join(tasks)}"
    known = {field.name for field in fields(tasks[env_id])} | {"max_episode_steps"}
    unknown = [name for name in kwargs if name not in known]
    return f"the task definition of {env_id} has no {', '.join(unknown)}" if unknown else ""


def _drawing(kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The arguments that only affect rendering; empty for a window, which requires the gymnasium backend."""
    return DRAWING if kwargs.get("render_mode") in (None, "rgb_array") else ()


def _simulator(
    env_id: str, n_envs: int, n_threads: int | None, kwargs: dict[str, Any], margin_rule: MarginRule, infos: bool
) -> Simulator:
    time_limit = _time_limit(env_id, kwargs)
    if env_id in CLASSIC_TASKS:
        if margin_rule != "native":
            raise problem(f"a MuJoCo environment for margin_rule={margin_rule!r}", env_id, "leave it at 'native'")
        log.info("%s: stepped by NumPy, all environments in one array", env_id)
        return ClassicSim(make_task(CLASSIC_TASKS[env_id], kwargs), n_envs, time_limit, infos)
    sim = ThreadedSim(make_task(TASKS[env_id], kwargs), n_envs, time_limit, n_threads, margin_rule, infos)
    log.info("%s: stepped by threads, MuJoCo %s, margin rule %s", env_id, mujoco.__version__, margin_rule)
    log.debug("%s: %d environments on %d threads", env_id, n_envs, sim.n_threads)
    return sim


def _time_limit(env_id: str, kwargs: dict[str, Any]) -> int | None:
    """The time limit in actions, removed from `kwargs`; by default that of the registry, which counts the steps for
    which an action is held. None for none."""
    limit = kwargs.pop("max_episode_steps", None)
    if limit is None:
        limit, held = gym.spec(env_id).max_episode_steps, kwargs.get("action_repeat", 1)
        return limit if limit is None or not isinstance(held, int) or held < 1 else -(-limit // held)
    if not isinstance(limit, int) or (limit < 1 and limit != -1):
        raise problem("max_episode_steps of at least 1, or -1 for none", repr(limit), "give a whole number")
    return None if limit == -1 else limit  # -1 means no limit in gymnasium.make


def _on_gymnasium(
    env_id: str, n_envs: int, seed: int, kwargs: dict[str, Any], margin_rule: MarginRule
) -> GymnasiumVecEnv:
    try:
        return GymnasiumVecEnv(env_id, n_envs, seed, kwargs, margin_rule)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise problem(f"{env_id} to be made by Gymnasium", str(error), "install what it needs") from error
    except (TypeError, ValueError, AttributeError, AssertionError, LookupError, OSError) as error:
        if isinstance(error, InputError) or not kwargs:
            raise
        raise problem(
            f"keyword arguments that gymnasium.make({env_id!r}) takes",
            f"{', '.join(f'{name}={value!r}' for name, value in kwargs.items())}: {error}",
            "correct env_kwargs (--env-kwargs)",
        ) from error
