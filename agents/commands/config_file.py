"""`--config FILE` of `rlgen train`: the settings of another run as defaults, which typed options override."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from rlgen.deprecation import present_fields
from rlgen.envs.registration import registered_id, split_id
from rlgen.errors import problem
from rlgen.runs.config import fields_from_json, present_config, read_object, required_fields, restored, to_json
from rlgen.runs.folder import RunFolder

from .choices import typed
from .settings import RunSettings
from .table import trainings

log = logging.getLogger("rlgen")
OWN = ("agent", "out", "imports")
"""Entries that are not taken from another run. Modules are imported only if they are typed."""


def defaults(kind: type[RunSettings], path: Path, arguments: Sequence[str]) -> RunSettings:
    """The settings of the config.json or run folder `path`; those that must still be typed are left open.

    `arguments`: the options typed in addition; recorded settings that are not read with them are left out.

    Raises `InputError` for the settings of another agent, for unknown ones, and for values of another type.
    """
    found = RunFolder.open(path).config if path.is_dir() else _present(path)
    _require_agent(kind, found.get("agent", kind.agent), path)
    values = {name: value for name, value in present_fields(kind, found, to_json).items() if name not in OWN}
    kind = kind.for_arguments(arguments, values)
    settings = fields_from_json(kind, kind.without_idle(values, arguments))
    if "env" in settings:
        settings["env"] = _known_env(settings["env"], found.get("imports", []), f"rlgen train {kind.agent}", arguments)
    return kind(**dict.fromkeys(required_fields(kind), tyro.MISSING) | settings)


def _present(path: Path) -> dict[str, Any]:
    written = read_object(path)
    found = present_config(written)
    if found != written:
        log.warning("%s has names of an earlier version, which the next version does not read", path)
    return found


def _require_agent(kind: type[RunSettings], agent: Any, path: Path) -> None:
    if agent != kind.agent:
        known = agent in trainings()
        remedy = f"use `rlgen train {agent}`" if known else "take the config.json of a run"
        raise problem(f"settings of the agent {kind.agent}", f"those of {agent!r} in {path}", remedy)


def _known_env(env: str, imports: Any, command: str, arguments: Sequence[str]) -> str:
    """The environment id without its module, which is imported only if it is typed. Imports nothing."""
    if typed(arguments, "--env") is None and typed(arguments, "--import") is None:
        return registered_id(env, restored(tuple[str, ...], imports, "imports"), f"{command} …")
    return split_id(env)[1]
