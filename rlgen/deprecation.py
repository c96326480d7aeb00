"""Old names of settings, which keep working for one version with a warning."""

import dataclasses
import functools
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

log = logging.getLogger("rlgen")
Kind = TypeVar("Kind", bound=type)

UNLESS_NONE = {"recorded": "unless None"}
"""Metadata of a field that `to_json` leaves out while it is None: a setting of a later version, without which a
configuration stays equal to those recorded before."""
UNLESS_DEFAULT = {"recorded": "unless default"}
"""The same of a field that `to_json` leaves out while it has its default."""


def unless_earlier(value: Any) -> dict[str, Any]:
    """Metadata of a field whose earlier versions were all `value`, now not the default: `to_json` leaves it out while
    it has that value, and a configuration without it had that value."""
    return {"recorded": "unless earlier", "earlier": value}


def renamed_fields(**names: str) -> Callable[[Kind], Kind]:
    """Class decorator of a settings dataclass that maps old names of fields to their current paths.

        @renamed_fields(gradient_penalty="penalties.gradient")
        @dataclass(frozen=True, kw_only=True)
        class GAILConfig: ...

    The old names work as keywords, in JSON (`present_fields`) and as options (`present_options`). A subclass inherits
    the names, but needs the decorator too for its keywords, because `@dataclass` gives it an `__init__` of its own.
    Where a switch became a choice, the class variable `former_values` maps the old name to the present values of off
    and on: `{"learn_likelihood": {False: "fixed", True: "learned"}}`.
    """

    def decorate(kind: Kind) -> Kind:
        kind.renamed = {**getattr(kind, "renamed", {}), **names}  # type: ignore[attr-defined]
        initialize = kind.__init__  # type: ignore[misc]

        @functools.wraps(initialize)
        def accept_old_names(self: Any, *positional: Any, **values: Any) -> None:
            old = _old_names(kind, values)
            if old:
                warnings.warn(_note(kind.__name__, old), DeprecationWarning, stacklevel=2)
            initialize(self, *positional, **_moved(kind, values, lambda default: default))

        kind.__init__ = accept_old_names  # type: ignore[misc]
        return kind

    return decorate


def present_fields(kind: type, values: Mapping[str, Any], to_json: Callable[[Any], Any]) -> dict[str, Any]:
    """The JSON `values` of the dataclass `kind` with the current names of its fields; old names are logged.

    In a group of settings that is given only by old names, the others have the defaults of `kind`, as JSON by
    `to_json`.
    """
    old = _old_names(kind, values)
    if old:
        log.info(_note(kind.__name__, old))
    return _moved(kind, values, to_json)


def present_options(kind: type, arguments: Sequence[str]) -> list[str]:
    """The command line `arguments` with the current names of the options of the dataclass `kind`; old names are
    logged."""
    renamed, found, old = _renamed_options(kind), [], {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        plain = name.replace("_", "-")
        for before, present in renamed.items():
            if plain == before or plain.startswith(f"{before}."):  # a group's name is the prefix of its options
                old[plain] = f"{present}{plain.removeprefix(before)}"
        found.append(f"{old[plain]}{equals}{value}" if plain in old else argument)
    if old:
        log.warning(_note("options", old))
    return found


def _old_names(kind: type, values: Mapping[str, Any]) -> dict[str, str]:
    return {old: path for old, path in getattr(kind, "renamed", {}).items() if old in values}


def _note(where: str, renamed: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{old} is now {path}" for old, path in renamed.items())
    return f"{where}: {pairs}; the next version does not know the old names"


def _moved(kind: type, values: Mapping[str, Any], form: Callable[[Any], Any]) -> dict[str, Any]:
    old = _old_names(kind, values)
    found = {name: value for name, value in values.items() if name not in old}
    for name, path in old.items():
        group, *inner = path.split(".")
        if inner and group not in found:
            found[group] = form(_default(kind, group))
        found[group] = _placed(found.get(group), inner, _present_value(kind, name, values[name]))
    return found


def _present_value(kind: type, old: str, value: Any) -> Any:
    former = getattr(kind, "former_values", {}).get(old, {})
    return former.get(value, value) if isinstance(value, bool) else value


def _default(kind: type, name: str) -> Any:
    (field,) = (each for each in dataclasses.fields(kind) if each.name == name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _placed(whole: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of `whole`, dataclass or dictionary, with `value` at `path`; anything else as it is."""
    if not path:
        return value
    name, *inner = path
    if isinstance(whole, Mapping):
        return {**whole, name: _placed(whole.get(name), inner, value)}
    if dataclasses.is_dataclass(whole) and not isinstance(whole, type):
        return dataclasses.replace(whole, **{name: _placed(getattr(whole, name), inner, value)})
    return whole


def _renamed_options(kind: type, prefix: str = "") -> dict[str, str]:
    """Old option → present one, of the dataclass `kind` and its parts; of switches also the forms with no-."""
    found = {}
    for old, path in getattr(kind, "renamed", {}).items():
        group, dot, last = path.rpartition(".")
        for negated in ("", "no_"):
            option, present = f"{prefix}{negated}{old}", f"{prefix}{group}{dot}{negated}{last}"
            found[f"--{option}".replace("_", "-")] = f"--{present}".replace("_", "-")
            if old in getattr(kind, "former_values", {}):
                chosen = f"--{prefix}{path}={_present_value(kind, old, not negated)}"
                found[f"--{option}".replace("_", "-")] = chosen.replace("_", "-")
    hints = get_type_hints(kind)
    for each in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[each.name]):
            found |= _renamed_options(hints[each.name], f"{prefix}{each.name}.")
    return found
