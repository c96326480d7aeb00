"""An optimiser's state from a file, looked at before a step trusts it.

Fused optimisers work on the memory of their moments without asking how long it is: one of another shape than its
parameter ends the process, or worse.
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
"""What torch's elementwise optimisers, and Stable-Baselines3's, remember of each parameter in its own shape."""

OF_MACHINE = ("fused", "foreach", "capturable")
"""Settings that say how this machine computes, not what: the state takes over those of the optimiser that loads it."""


def load_optimiser(optimiser: Optimizer, state: dict[str, Any]) -> None:
    """`optimiser.load_state_dict` of a copy of `state`: torch keeps the tensors that it is given, and two optimisers
    would move the same moments.

    Raises `InputError` where the state is not of such an optimiser: other entries, settings of other types, moments
    whose shape, type or device is not their parameter's, or that are not finite.
    """
    before = [dict(group) for group in optimiser.param_groups]
    try:
        mine = deepcopy(state)
        for fresh, saved in zip(before, mine["param_groups"], strict=True):
            saved.update({name: fresh[name] for name in OF_MACHINE if name in fresh})
        optimiser.load_state_dict(mine)
    except Exception as error:  # whatever torch meets in it
        raise _foreign(f"{type(error).__name__}: {error}") from error
    _require_floats(state)  # which torch has made of whole numbers by now
    for fresh, loaded in zip(before, optimiser.param_groups, strict=True):
        _require_settings(fresh, loaded)
        for parameter in loaded["params"]:
            remembered = optimiser.state.get(parameter, {})
            if remembered:
                _require_moments(optimiser, parameter, remembered)


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
    """Whether `now` can stand for `was`: the same switch, a finite number or 0-d tensor for a number."""
    if was is None or isinstance(was, bool):
        return now is was
    if isinstance(was, tuple | list):
        return isinstance(now, tuple | list) and len(now) == len(was) and all(map(_alike, was, now))
    if isinstance(was, Real | Tensor):
        if isinstance(now, Tensor):
            return now.ndim == 0 and now.is_floating_point() and bool(now.isfinite())
        return isinstance(now, Real) and not isinstance(now, bool) and math.isfinite(now)
    return True


def _require_moments(optimiser: Optimizer, parameter: Tensor, remembered: dict[str, Any]) -> None:
    if isinstance(optimiser, torch.optim.Adam):
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


def _foreign(came: str) -> Exception:
    return problem("the state of the same optimiser", came, "load what a training with the same settings saved")
