"""What can step environments; apart from `make_vec`, so that a command line knows it without MuJoCo."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from rlgen.checks import at_least

Backend = Literal["auto", "threads", "numpy", "gymnasium", "warp"]


@dataclass(frozen=True, kw_only=True)
class WarpOptions:
    """What the warp backend alone asks: where it steps, and the room that it sets aside."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N. On a CPU it is for tests: threads are many times faster there."""
    contacts: int | None = None
    """Room for contacts per environment, shared by all; the task's own when left out."""
    constraints: int | None = None
    """Room for rows of constraints in each environment; the task's own when left out."""

    def __post_init__(self) -> None:
        at_least(self, 1, "contacts", "constraints")


def with_old_keywords(warp: WarpOptions | None, old: Mapping[str, Any]) -> WarpOptions:
    """`warp`, or those options that `make_vec` had as keywords of its own, with a warning. Raises `TypeError` for
    other keywords, and for both."""
    known = {field.name for field in fields(WarpOptions)}
    for name in old:
        if name not in known or warp is not None:
            raise TypeError(f"make_vec() got an unexpected keyword argument {name!r}")
    if old:
        given = ", ".join(f"{name}={value!r}" for name, value in old.items())
        note = f"give make_vec warp=WarpOptions({given}); the next version does not know these keywords"
        warnings.warn(note, DeprecationWarning, stacklevel=3)
    return warp or WarpOptions(**old)
