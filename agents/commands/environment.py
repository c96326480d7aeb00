"""The environment of a command: its options, and its construction."""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro
from gymnasium import spaces
from tyro.constructors import PrimitiveConstructorSpec

from rlgen.data.spaces import is_image
from rlgen.data.visits import Visits, axes_within
from rlgen.envs import WarpOptions, make_vec
from rlgen.envs.backend import Backend
from rlgen.envs.registration import import_modules, split_id
from rlgen.envs.registry import STATE_AXES
from rlgen.errors import InputError, problem
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.latent_code import LatentCode
from rlgen.sb3.vec_env import ResumableVecEnv


def parse_kwargs(texts: Sequence[str]) -> dict[str, Any]:
    """`["frame_skip=2", "terminate=False"]`, or one JSON object, as keyword arguments."""
    if len(texts) == 1 and texts[0].lstrip().startswith("{"):
        return _json_object(texts[0])
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals or not name.isidentifier():
            raise _malformed(f"{name}{equals}")
    return {name: _value(text) for name, _, text in pairs}


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _malformed(f"{text} ({error})") from error
    if not isinstance(found, dict):
        raise _malformed(text)
    return found


def _value(text: str) -> Any:
    """JSON (true, [1, 2]), else Python (True, (1, 2)), else the text itself."""
    for read in (json.loads, ast.literal_eval):
        try:
            return json.loads(json.dumps(read(text)))
        except (ValueError, SyntaxError, TypeError, RecursionError):
            continue
    return text


def _malformed(got: str) -> InputError:
    return problem("--env-kwargs NAME=VALUE …, or one JSON object", got, "e.g. --env-kwargs frame_skip=2")


EnvKwargs = Annotated[
    dict[str, Any],
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=parse_kwargs,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda kwargs: [f"{name}={json.dumps(value)}" for name, value in kwargs.items()],
    ),
]
"""Keyword arguments of the environment's constructor."""

Imports = Annotated[tuple[str, ...], tyro.conf.arg(name="import", metavar="MODULE"), tyro.conf.UseAppendAction]
"""Modules that register environments."""


def import_typed(modules: Sequence[str], env_id: str | None = None) -> None:
    """Import the modules that the user typed: those of `--import`, and the one in front of the id of `--env`."""
    module = split_id(env_id)[0] if env_id else ""
    import_modules([*modules, *([module] if module else [])])


def make_env(
    env_id: str,
    n_envs: int,
    seed: int,
    backend: Backend,
    threads: int | None = None,
    codes: int | None = None,
    code: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    warp: WarpOptions | None = None,
) -> ResumableVecEnv:
    """An SB3 VecEnv. `codes`: how many codes the policy has; `code`: a fixed code, instead of one drawn per episode;
    `env_kwargs`: keyword arguments of the environment's constructor."""
    env = make_vec(env_id, n_envs, seed, backend, threads, dict(env_kwargs or {}), warp=warp)
    return env if codes is None else LatentCode(env, codes, code, seed)


def coverage_of(env_id: str, observed: spaces.Space) -> Coverage | None:
    """Counts of the visited states, on the axes of the task or else of the first two observation components; None for
    images and dictionaries, of which no two components are a state."""
    if not isinstance(observed, spaces.Box) or is_image(observed):
        return None
    return Coverage(Visits(STATE_AXES.get(env_id) or axes_within(observed.low, observed.high)))


def evaluation_backend(backend: Backend) -> Backend:
    """The backend of evaluations, given that of training: C MuJoCo instead of MuJoCo Warp, because it is Gymnasium's
    own physics and faster for few environments."""
    return "auto" if backend == "warp" else backend
