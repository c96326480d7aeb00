"""Curiosities as callbacks that are made from plain values, for settings in a file such as rl-baselines3-zoo's."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, get_args

from rlgen.errors import problem
from rlgen.sb3.relabel_replay import UPDATE_EVERY

from .curiosity import ICM, L2, RND, VIME, Curiosity, Curious, Disagreement


class CuriosityCallback(Curious):
    """`kind(config, eta=…).callback()`. `config`: settings of its config by name, sequences as lists."""

    kind: ClassVar[type[Curiosity[Any]]]

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        eta: float | None = None,
        final_eta: float = 1.0,
        update_every: int = UPDATE_EVERY,
    ):
        for name, value in {"eta": eta, "final_eta": final_eta, "update_every": update_every}.items():
            require_number(name, value)
        made = None if config is None else config_of(self.kind, config)
        super().__init__(self.kind(made, eta=eta, final_eta=final_eta, update_every=update_every))


class VIMECallback(CuriosityCallback):
    """`VIME` from plain values."""

    kind = VIME


class RNDCallback(CuriosityCallback):
    """`RND` from plain values."""

    kind = RND


class ICMCallback(CuriosityCallback):
    """`ICM` from plain values."""

    kind = ICM


class L2Callback(CuriosityCallback):
    """`L2` from plain values."""

    kind = L2


class DisagreementCallback(CuriosityCallback):
    """`Disagreement` from plain values."""

    kind = Disagreement


def config_of(kind: type[Curiosity[Any]], settings: Mapping[str, Any]) -> Any:
    """The config of `kind`, its other settings left at their defaults. Raises `InputError` for unknown names."""
    (config_type,) = get_args(kind.__orig_bases__[0])  # type: ignore[attr-defined]
    defaults = {field.name: field.default for field in fields(config_type)}
    values = {}
    for name, value in settings.items():
        if name not in defaults:
            raise problem(f"settings of {config_type.__name__}: {', '.join(defaults)}", repr(name), "correct the name")
        if not isinstance(defaults[name], str):
            require_number(name, value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return config_type(**values)


def require_number(name: str, value: Any) -> None:
    """Refuses text, which is what YAML makes of 1e-3."""
    if isinstance(value, str):
        raise problem(f"a number for {name}", f"the text {value!r}", "write 0.001 or 1.0e-3: YAML reads 1e-3 as text")
