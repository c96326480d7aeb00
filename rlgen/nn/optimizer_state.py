"""Loading of an optimizer's state from a file, with checks.

Fused optimizers do not check the size of their moments: a moment with another shape than its parameter crashes the
process or corrupts memory.
"""

import math
from copy import deepcopy
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from rlgen.errors import problem

MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg", "sum"}
"""State entries of torch's elementwise optimizers and of Stable-Baselines3's that have the shape of the parameter."""

OF_MACHINE = ("fused", "foreach", "capturable")
"""Settings that depend on the machine: the loaded state gets those of the optimizer that loads it."""


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load a copy of `state` into `optimizer`. Without the copy two optimizers could share moments, because torch keeps
    the tensors of the state.

    Raises `InputError` if the state does not fit the optimizer: other entries, settings of other types, moments whose
    shape, type or device is not that of their parameter, or moments that are not finite.
    """
    before = [dict(group) for group in optimizer.param_groups]
    try:
        mine = deepcopy(state)
        for fresh, saved in zip(before, mine["param_groups"], strict=True):
            saved.update({name: fresh[name] for name in OF_MACHINE if name in fresh})
        optimizer.load_state_dict(mine)
    except Exception as error:  # torch raises errors of many types for a damaged state
        raise _foreign(f"{type(error).__name__}: {error}") from error
    _require_floats(state)  # of the original state, because torch has converted integers in the copy
    for fresh, loaded in zip(before, optimizer.param_groups, strict=True):
        _require_settings(fresh, loaded)
        for parameter in loaded["params"]:
            remembered = optimizer.state.get(parameter, {})
            if remembered:
                _require_moments(optimizer, parameter, remembered)


def _require_floats(state: dict[str, Any]) -> None:
    for remembered in state["state"].values():
        for name in MOMENTS & remembered.keys():
            value = remembered[name]
            if isinstance(value, Tensor) and not value.is_floating_point():
                raise _foreign(f"{name} of {value.dtype}")


def _require_settings(fresh: dict[str, Any], loaded: dict[str, Any]) -> None:
    for name, was in fresh.items():
        if name == "params":
            continue
        if name not in loaded:
            raise _foreign(f"one without {name}")
        if not _alike(was, loaded[name]):
            raise _foreign(f"the setting {name} {loaded[name]!r}")


def _alike(was: Any, now: Any) -> bool:
    """Whether `now` can replace `was`: the same value of a switch, or a finite number or 0-d tensor for a number."""
    if was is None or isinstance(was, bool):
        return now is was
    if isinstance(was, tuple | list):
        return isinstance(now, tuple | list) and len(now) == len(was) and all(map(_alike, was, now))
    if isinstance(was, Real | Tensor):
        if isinstance(now, Tensor):
            return now.ndim == 0 and now.is_floating_point() and bool(now.isfinite())
        return isinstance(now, Real) and not isinstance(now, bool) and math.isfinite(now)
    return True


def _require_moments(optimizer: Optimizer, parameter: Tensor, remembered: dict[str, Any]) -> None:
    if isinstance(optimizer, torch.optim.Adam):
        missing = {"step", "exp_avg", "exp_avg_sq"} - remembered.keys()
        if missing:
            raise _foreign(f"one without {', '.join(sorted(missing))}")
    for name, value in remembered.items():
        if name == "step":
            if not _alike(0.0, value):
                raise _foreign(f"the step {value!r}")
        elif name in MOMENTS and value is not None:
            _require_like(parameter, name, value)


def _require_like(parameter: Tensor, name: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise _foreign(f"a {type(value).__name__} for {name}")
    kinds = [f"{list(each.shape)} of {each.dtype} on {each.device}" for each in (parameter, value)]
    if kinds[0] != kinds[1] or value.layout != torch.strided:
        raise _foreign(f"{name} {kinds[1]} for a parameter {kinds[0]}")
    if not value.isfinite().all():
        raise _foreign(f"{name} with NaN or infinity")


def _foreign(got: str) -> Exception:
    return problem("the state of the same optimizer", got, "load the state of a training with the same settings")
