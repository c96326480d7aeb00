"""What a benchmark would run: the cells of a protocol with their identities."""

import inspect
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import rlgen
from rlgen.errors import problem


def resolved(arguments: Sequence[str]) -> Any:
    """The settings of a command line of `rlgen train …`. Raises `InputError` for one that it refuses."""
    from rlgen.bench.identity import Resolved

    from .parsing import parse
    from .settings import RunSettings
    from .settings_files import without_config
    from .table import find, load, settings_for

    found = find(arguments)
    kind = load(found[0]) if found else None
    if found is None or kind is None or not issubclass(kind, RunSettings):
        raise problem("a command such as `train gail`", " ".join(arguments[:2]), "correct the agent's command")
    command, rest = found
    default, rest = without_config(kind, rest)
    kind = settings_for(kind, rest) if default is None else type(default)
    try:
        settings: Any = parse(kind, [*rest, "--out", "."], f"rlgen {command.words}", "", True, default)
    except SystemExit as error:
        raise problem(f"options of `rlgen {command.words}`", " ".join(rest), "correct them in the protocol") from error
    require_known_env(settings)
    hints = get_type_hints(type(settings))
    paths = [each.name for each in fields(settings) if Path in (hints[each.name], *get_args(hints[each.name]))]
    inputs = [name for name in paths if name != "out"] + (["data"] if "data" in hints else [])
    if not command.own:
        return Resolved(settings.recorded(), inputs)
    source = inspect.getsourcefile(type(settings))
    return Resolved({**settings.recorded(), "source": source}, [*inputs, "source"])


def require_known_env(settings: Any) -> None:
    """Raise `InputError` for an environment that Gymnasium does not know, unless a module is to register it."""
    from rlgen.envs.registration import registered_id, split_id

    env = getattr(settings, "env", "")
    if env and not settings.imports and not split_id(env)[0]:
        registered_id(env)


def margin_rule() -> str:
    """The contact margin rule of this machine's MuJoCo."""
    from rlgen.sim.model import own_rule

    return own_rule()


def data_folder(given: Path | None) -> Path | None:
    """The folder of data: --data, else RLGEN_DATA."""
    chosen = given or (Path(os.environ["RLGEN_DATA"]) if os.environ.get("RLGEN_DATA") else None)
    if chosen is not None and not chosen.is_dir():
        raise problem(f"a folder of data at {chosen}", "no such folder", "correct --data or RLGEN_DATA")
    return None if chosen is None else chosen.resolve()


def planned(
    suite: str, quick: bool, data: Path | None, tasks: Sequence[str] = (), agents: Sequence[str] = ()
) -> tuple[str, Any, list[Any]]:
    """The text of a protocol, and its plan with the cells of some tasks and agents, or of all. Those that were not
    chosen are its `others`."""
    from rlgen.bench.cells import cells_of
    from rlgen.bench.folder import Plan
    from rlgen.bench.identity import identified
    from rlgen.bench.protocol_file import find_protocol, parse_protocol, text_of

    path = find_protocol(suite)
    text = text_of(path)
    protocol = parse_protocol(text, str(path))
    rule = margin_rule()
    folder = data_folder(data) or data_of(path)
    every = cells_of(protocol, quick)
    require_some("tasks", tasks, [cell.task for cell in every])
    require_some("agents", agents, [cell.agent for cell in every])
    wanted = [cell for cell in every if (not tasks or cell.task in tasks) and (not agents or cell.agent in agents)]
    cells = identified(wanted, resolved, folder, rlgen.__version__, rule)
    held = None if folder is None else str(folder)
    plan = Plan(rlgen=rlgen.__version__, margin_rule=rule, quick=quick, data=held, cells=tuple(cells))
    return text, plan, [cell for cell in every if cell not in wanted]


def data_of(protocol: Path) -> Path | None:
    """The folder of data of a protocol: its own, or what a benchmark's folder has planned; None for a suite."""
    from rlgen.bench.folder import PLAN, read_plan
    from rlgen.bench.protocol_file import suites

    if protocol in suites().values():
        return None
    if (protocol.parent / PLAN).is_file():
        return path_of(read_plan(protocol.parent).data)
    return protocol.parent.resolve()


def require_inputs(plan: Any) -> None:
    """Raise `InputError` for data sets that are not here, so that the identities of their cells lack their contents."""
    from rlgen.bench.identity import absent_inputs

    for name in absent_inputs(plan.cells):
        raise problem(f"the data set {name} on this disk", "none", f"download it: rlgen demos fetch {name}")


def require_some(what: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    """Raise `InputError` for a chosen name that the protocol does not have."""
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        got = ", ".join(unknown)
        raise problem(f"{what} of the protocol ({', '.join(dict.fromkeys(known))})", got, "name some of these")


def prepared(out: Path, text: str, plan: Any, others: Sequence[Any]) -> Any:
    """The folder with the plan, and with those cells of its earlier one that are among the `others` of the protocol."""
    from rlgen.bench.folder import BenchFolder

    return BenchFolder.prepare(out, text, plan, others)


def path_of(text: str | None) -> Path | None:
    return None if text is None else Path(text)
