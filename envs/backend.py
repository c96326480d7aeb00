"""Names and options of the backends, in a separate file so that the command line imports no MuJoCo."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from rlgen.checks import at_least

Backend = Literal["auto", "threads", "numpy", "gymnasium", "warp"]


@dataclass(frozen=True, kw_only=True)
class WarpOptions:
    """Options of the warp backend: its device, and the memory that it reserves."""

    device: str = "auto"
    """Device: auto, cpu, cuda or cuda:N. Use a CPU only for tests; the threads backend is many times faster there."""
    contacts: int | None = None
    """Memory for contacts, per environment and shared by all; the task's value by default."""
    constraints: int | None = None
    """Memory for constraint rows of each environment; the task's value by default."""

    def __post_init__(self) -> None:
        at_least(self, 1, "contacts", "constraints")


def with_old_keywords(warp: WarpOptions | None, old: Mapping[str, Any]) -> WarpOptions:
    """`warp`, or the options given as keywords of `make_vec`, which are deprecated, with a warning. Raises `TypeError`
    for other keywords, and for both."""
    known = {field.name for field in fields(WarpOptions)}
    for name in old:
        if name not in known or warp is not None:
            raise TypeError(f"make_vec() got an unexpected keyword argument {name!r}")
    if old:
        given = ", ".join(f"{name}={value!r}" for name, value in old.items())
        note = f"give make_vec warp=WarpOptions({given}); the next version does not accept these keywords"
        warnings.warn(note, DeprecationWarning, stacklevel=3)
    return warp or WarpOptions(**old)
