"""`--hyperparams FILE` of `rlgen train rl`: an entry of rl-baselines3-zoo's hyperparameter files as defaults."""

import ast
import difflib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from gymnasium import spaces

from rlgen.envs import make_vec
from rlgen.envs.registration import registered_id, split_id
from rlgen.errors import problem, reason
from rlgen.nn.layers import ACTIVATIONS
from rlgen.runs.config import fields_from_json, required_fields

from .choices import all_typed, typed
from .environment import import_typed
from .learner_choice import CHOICE
from .train_rl import TrainRL

log = logging.getLogger("rlgen")
ALGORITHMS = ("ppo", "sac")
PPO = {
    "n_steps": 2048, "learning_rate": 3e-4, "gamma": 0.99, "gae_lambda": 0.95, "batch_size": 64, "n_epochs": 10,
    "clip_range": 0.2, "ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5, "target_kl": None,
    "normalize_advantage": True,
}  # fmt: skip
"""Stable-Baselines3's defaults, which an entry leaves out."""
SAC = {
    "learning_rate": 3e-4, "buffer_size": None, "learning_starts": 100, "batch_size": 256, "tau": 0.005, "gamma": 0.99,
}  # fmt: skip
OURS = {"ent_coef": "entropy_weight", "vf_coef": "value_weight", "normalize_advantage": "normalize_advantages"}
"""Name of a hyperparameter → rlgen's name of the setting, where they differ."""
WITHOUT_EFFECT: dict[str, dict[str, Any]] = {
    "ppo": {"use_sde": False, "normalize": False, "device": None},
    "sac": {"use_sde": False, "normalize": False, "ent_coef": "auto", "train_freq": 1},
}
"""Hyperparameters without a setting, each with the only value that rlgen has."""
REMEDY = "copy the entry into a file of your own without it, or train with rl-baselines3-zoo"


def defaults(kind: type[TrainRL], path: Path, arguments: Sequence[str]) -> TrainRL:
    """The settings of the entry for the typed --env; `--learner.algorithm` or else the file's name (ppo.yml, sac.yml)
    decides the algorithm.

    Raises `InputError` without an entry for the environment, and for hyperparameters that rlgen has no setting for.
    """
    env = typed(arguments, "--env")
    if env is None:
        raise problem("--env, which names the entry of --hyperparams", "none", "add it, e.g. --env Ant-v5")
    algorithm = typed(arguments, CHOICE) or path.stem.lower()
    if algorithm not in ALGORITHMS:
        remedy = f"name the file after one, or add {CHOICE}"
        raise problem(f"hyperparameters of {' or '.join(ALGORITHMS)}", f"{algorithm!r} for {path}", remedy)
    entry = entry_of(path, split_id(env)[1])
    kind = kind.for_arguments([CHOICE, algorithm], {})
    values = settings_of(entry, algorithm, path)
    settings = fields_from_json(kind, values)
    if algorithm == "ppo":
        settings["learner"] = replace(
            settings["learner"], initial_std=_share(env, values["learner"]["initial_std"], arguments)
        )
    return kind(**dict.fromkeys(required_fields(kind), tyro.MISSING) | settings)


def entry_of(path: Path, env: str) -> dict[str, Any]:
    """The hyperparameters of `env` in the file, or of another version of it, which is logged."""
    try:
        import yaml
    except ImportError as error:
        raise problem("PyYAML, which reads --hyperparams", "a Python without it", "pip install 'rlgen[zoo]'") from error
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        got = f"{path} ({reason(error)})"
        raise problem("a YAML file of hyperparameters", got, "check the path and the file") from error
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        got = f"a {type(entries).__name__}"
        raise problem(f"entries by environment in {path}", got, "take a file such as the zoo's ppo.yml")
    found = entries.get(env, None)
    if found is None:
        stem = re.sub(r"-v\d+$", "", env)
        versions = [name for name in entries if re.fullmatch(re.escape(stem) + r"-v\d+", name)]
        if not versions:
            near = difflib.get_close_matches(env, list(entries), n=1)
            remedy = f"did you mean {near[0]}?" if near else "add one, or choose another file"
            raise problem(f"an entry for {env} in {path}", "none", remedy)
        other = max(versions, key=lambda name: int(name.rpartition("v")[2]))
        log.warning("%s has no entry for %s: that of %s is used", path, env, other)
        found = entries[other]
    if not isinstance(found, dict):
        raise problem(f"hyperparameters by name for {env} in {path}", repr(found)[:80], "correct the entry")
    return {str(name): value for name, value in found.items()}


def settings_of(entry: Mapping[str, Any], algorithm: str, path: Path) -> dict[str, Any]:
    """JSON values of `TrainRL` for an entry. `initial_std` is still in action units."""
    left = dict(entry)
    policy = left.pop("policy", "MlpPolicy")
    if policy != "MlpPolicy":
        raise problem("the policy MlpPolicy", f"{policy!r} in {path}", REMEDY)
    values: dict[str, Any] = {"n_envs": int(_number(left.pop("n_envs", 1), "n_envs", path))}
    if "n_timesteps" in left:
        values["steps"] = _number(left.pop("n_timesteps"), "n_timesteps", path)
    learner: dict[str, Any] = {"algorithm": algorithm}
    known: dict[str, Any] = PPO if algorithm == "ppo" else SAC
    for name, default in known.items():
        learner |= _setting(name, left.pop(name, default), default, algorithm, path)
    learner |= _of_policy(left.pop("policy_kwargs", None), algorithm, path)
    if algorithm == "ppo":
        normalized = _of_normalize(left.pop("normalize", False), path)
        values["scale_reward"] = normalized["norm_reward"]
        learner["normalize"] = normalized["norm_obs"]
    else:  # rlgen makes a gradient step per environment step, SB3 by default one for all environments together
        each = left.pop("gradient_steps", 1)
        if each != -1 and not (each == 1 and values["n_envs"] == 1):
            got = f"gradient_steps: {each!r} with n_envs: {values['n_envs']} in {path}"
            raise problem("a gradient step per environment step (gradient_steps: -1)", got, REMEDY)
    for name, only in WITHOUT_EFFECT[algorithm].items():
        if name in left and left[name] == only:
            left.pop(name)
    if left:
        name, value = next(iter(left.items()))
        raise problem(f"hyperparameters that rlgen has for {algorithm}", f"{name}: {value!r} in {path}", REMEDY)
    return {**values, "learner": learner}


def _setting(name: str, value: Any, default: Any, algorithm: str, path: Path) -> dict[str, Any]:
    """A hyperparameter as settings of the learner; `lin_0.1` falls linearly."""
    ours = OURS.get(name, name)
    if name == "learning_rate" and algorithm == "ppo":
        linear, rate = _schedule(value, name, path)
        return {ours: rate, "schedule": "linear" if linear else "constant"}
    if name == "clip_range":
        linear, clip = _schedule(value, name, path)
        return {ours: clip, **({"clip_schedule": "linear"} if linear else {})}
    if value is None or isinstance(value, bool):
        return {ours: value}
    number = _number(value, name, path)
    return {ours: int(number) if isinstance(default, int) or name == "buffer_size" else number}


def _schedule(value: Any, name: str, path: Path) -> tuple[bool, float]:
    """Whether the value falls linearly, and its start."""
    if isinstance(value, str) and value.startswith("lin_"):
        return True, _number(value.removeprefix("lin_"), name, path)
    return False, _number(value, name, path)


def _number(value: Any, name: str, path: Path) -> float:
    """A number, also as text: YAML reads 1e-3 as text."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError) as error:
        raise problem(f"a number for {name}", f"{value!r} in {path}", "correct the entry") from error


def _of_normalize(value: Any, path: Path) -> dict[str, bool]:
    """Whether observations and rewards are normalized."""
    found = value if isinstance(value, bool) else plain(value, "normalize", path)
    if isinstance(found, bool):
        return {"norm_obs": found, "norm_reward": found}
    given = {"norm_obs": True, "norm_reward": True} | found
    unknown = given.keys() - {"norm_obs", "norm_reward"}
    if unknown or not all(isinstance(each, bool) for each in given.values()):
        raise problem("norm_obs and norm_reward, true or false, for normalize", f"{value!r} in {path}", REMEDY)
    return given


def _of_policy(value: Any, algorithm: str, path: Path) -> dict[str, Any]:
    """The settings of `policy_kwargs`: a dictionary, or the text of one."""
    found = {} if value is None else plain(value, "policy_kwargs", path)
    layers = {"hidden": _widths(found.pop("net_arch"), path)} if "net_arch" in found else {}
    default = "relu" if algorithm == "sac" else "tanh"
    text = str(found.pop("activation_fn", default))
    activation = text.rpartition(".")[2].lower()
    if activation not in ACTIVATIONS:
        raise problem(f"activation_fn among {', '.join(ACTIVATIONS)}", f"{text} in {path}", REMEDY)
    chosen = {} if activation == default else {"activation": activation}
    if algorithm == "sac":
        own: dict[str, Any] = {"hidden": [256, 256], **layers, **chosen}
    else:
        std = math.exp(_number(found.pop("log_std_init", 0.0), "log_std_init", path))
        own = {"hidden": [64, 64], "initial_std": std, **layers, **chosen}
        if "ortho_init" in found:
            found.pop("ortho_init")
            log.warning("ortho_init has no effect: only a policy without --learner.normalize starts with such weights")
    if found:
        name, given = next(iter(found.items()))
        raise problem(f"policy_kwargs that rlgen has for {algorithm}", f"{name}={given!r} in {path}", REMEDY)
    return own


def _widths(value: Any, path: Path) -> list[int]:
    """Widths of the hidden layers, equal for policy and value function."""
    layers = value if isinstance(value, list) else [value]
    if len(layers) == 1 and isinstance(layers[0], dict):
        several = list(layers[0].values())
        layers = several[0] if several and all(each == several[0] for each in several) else [None]
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in layers):
        got = f"{value!r} in {path}"
        raise problem("net_arch with the same widths for policy and value function", got, REMEDY)
    return layers


def plain(value: Any, name: str, path: Path) -> dict[str, Any]:
    """A dictionary, or the text of one, `dict(net_arch=[64], activation_fn=nn.ReLU)`, whose names with dots become
    texts. Nothing in it is run."""
    if isinstance(value, str):
        try:
            value = _literal(ast.parse(" ".join(value.split()), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            got = f"{value!r} in {path} ({error})"
            raise problem(f"a dictionary of plain values for {name}", got, "write dict(name=value, …)") from error
    if not isinstance(value, dict):
        raise problem(f"a dictionary for {name}", f"{value!r} in {path}", "write dict(name=value, …)")
    return dict(value)


def _literal(node: ast.expr) -> Any:
    """The value of a literal, of `dict(…)` of literals, or the text of a name with dots. Raises `ValueError` for all
    else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if any(each.arg is None for each in node.keywords):
            raise ValueError("** in dict()")
        return {str(each.arg): _literal(each.value) for each in node.keywords}
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(each) for key, each in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(each) for each in node.elts]
    if isinstance(node, ast.Attribute):
        return ast.unparse(node)
    return ast.literal_eval(node)


def _share(env: str, std: float, arguments: Sequence[str]) -> float:
    """The standard deviation in action units as a share of half the action range, which rlgen's setting is."""
    import_typed(all_typed(arguments, "--import"), env)
    made = make_vec(registered_id(env), 1)
    space = made.action_space
    made.close()
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        return std
    half = (space.high.astype(np.float64) - space.low) / 2
    if not np.allclose(half, half.flat[0]):
        log.warning("actions have ranges of several sizes: log_std_init is taken relative to each, not in action units")
        return std
    return std / float(half.flat[0])
