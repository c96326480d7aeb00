"""Finds out where a GPU is waited for, on one by PyTorch's own means, on a CPU by what is asked for: numbers brought to
the host, shapes that depend on them, and numbers of the host that become tensors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
aten = torch.ops.aten
BROUGHT_OVER: set[Any] = {
    Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__bool__, Tensor.__float__, Tensor.__int__,
    Tensor.__index__, Tensor.__array__, torch.allclose, torch.tensor, Tensor.new_tensor, torch.from_numpy,
}  # fmt: skip
FROM_NUMBERS: set[Any] = {torch.as_tensor, torch.asarray, torch.scalar_tensor}  # of tensors they are nothing
DEPENDENT: set[Any] = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
    aten.repeat_interleave.Tensor, aten.bincount.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default,
}  # fmt: skip
INDEXED: set[Any] = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}


class Waits(AssertionError):
    """What waits, and where, is in its traceback."""


class _Calls(TorchFunctionMode):
    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        numbers = func in FROM_NUMBERS and not isinstance(args[0], Tensor)
        by_list = func in (Tensor.__getitem__, Tensor.__setitem__) and _has_list(args[1])
        if func in BROUGHT_OVER or numbers or by_list or (func is Tensor.to and "cpu" in args[1:]):
            raise Waits(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


def _has_list(index: Any) -> bool:
    return isinstance(index, list) or (isinstance(index, tuple) and any(isinstance(each, list) for each in index))


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = func in INDEXED and any(each is not None and each.dtype == torch.bool for each in args[1])
        if func in DEPENDENT or by_mask:
            raise Waits(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def no_waiting(device: str | torch.device) -> Iterator[None]:
    """Within the block, whatever waits for the device raises."""
    if torch.device(device).type == "cpu":
        with _Calls(), _Operations():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
