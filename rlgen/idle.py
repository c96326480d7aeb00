"""Settings that are read only where another setting has certain values."""

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from functools import reduce
from typing import Any

from rlgen.errors import problem


def only_with(name: str, *values: Any) -> dict[str, Any]:
    """Metadata of a field that is read only where the setting `name` of its dataclass, or `group.name`, has one of the
    values; without values, where it is neither 0 nor False."""
    return {"only_with": (name, values)}


def setting(default: Any, name: str, *values: Any) -> Any:
    """A field with this default that is read as `only_with` says."""
    return field(default=default, metadata=only_with(name, *values))


def require_read(config: Any, prefix: str, default: Any = None) -> None:
    """Raise `InputError` for a setting of a dataclass, or of its groups, that differs from its default though the
    others leave it without effect. `prefix`: what precedes names on the command line, e.g. "--vae."."""
    default = type(config)() if default is None else default
    for each in fields(config):
        value = getattr(config, each.name)
        if is_dataclass(value):
            require_read(value, f"{prefix}{_option(each.name)}.", getattr(default, each.name))
        elif value != getattr(default, each.name):
            _require_read(config, prefix, each.name, each.metadata)


def _require_read(config: Any, prefix: str, name: str, metadata: Mapping[str, Any]) -> None:
    other, values = metadata.get("only_with", (None, ()))
    if other is None:
        return
    found = reduce(getattr, other.split("."), config)
    if found in values if values else found:
        return
    option, of_other = f"{prefix}{_option(name)}", f"{prefix}{_option(other)}"
    wanted = f"{of_other} {' or '.join(map(str, values))}" if values else f"{of_other}, above 0 or on,"
    got = f"{option} {_shown(getattr(config, name))} with {of_other} {_shown(found)}, where it has no effect"
    raise problem(f"{wanted} for {option}", got, f"leave {option} out, or change {of_other}")


def _option(name: str) -> str:
    return name.replace("_", "-")


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
