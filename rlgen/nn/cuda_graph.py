"""A gradient step captured as a CUDA graph: one launch instead of hundreds."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

log = logging.getLogger("rlgen")
WARM_UPS = 3
"""Calls before the capture, in which libraries allocate memory and choose kernels."""


class CudaGraphStep:
    """`step`, a function that takes steps of `optimizer`, captured as a CUDA graph after a few calls; on a CPU it is
    called directly.

    - Every call has the effect of `step`. Arguments of other shapes than in the first call are passed to it directly.
    - The step is captured again if the tensors of the optimizer have moved, for example after loading a state.
    - All other tensors that `step` reads must stay at the same place in memory. Python numbers keep the values of the
      capture. Construct a new `CudaGraphStep` if either changes.
    - A step that synchronizes with the host cannot be captured. A warning is logged and `step` is called directly.
    - The next call overwrites the returned tensors.
    """

    def __init__(self, step: Callable[..., dict[str, Tensor]], optimizer: Optimizer) -> None:
        self.step, self.optimizer = step, optimizer
        self._waits = False
        self._forget()

    def _forget(self) -> None:
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._arguments: list[Tensor] = []
        self._result: dict[str, Tensor] = {}
        self._places: list[int] = []

    def __call__(self, *arguments: Tensor) -> dict[str, Tensor]:
        if self._waits or arguments[0].device.type != "cuda":
            return self.step(*arguments)
        if self._graph is not None and self._places != self._present_places():
            self._forget()
        if self._graph is None:
            make_capturable(self.optimizer, arguments[0].device)
        if not self._arguments:
            self._arguments = [each.clone() for each in arguments]
        if [each.shape for each in arguments] != [each.shape for each in self._arguments]:
            return self.step(*arguments)
        for kept, given in zip(self._arguments, arguments, strict=True):
            kept.copy_(given)
        if self._graph is None:
            self._calls += 1
            if self._calls <= WARM_UPS:
                return self._warm_up()
            self._record()
        assert self._graph is not None
        self._graph.replay()
        return self._result

    def _warm_up(self) -> dict[str, Tensor]:
        """A call before the capture. The last one also detects whether the step synchronizes with the host."""
        if self._calls < WARM_UPS:
            return self._aside()
        try:
            with _no_host_sync():
                return self._aside()
        except RuntimeError as error:
            self._waits = True
            name = getattr(self.step, "__qualname__", repr(self.step))
            log.warning("%s is not captured, and slower, because it synchronizes with the GPU: %s", name, error)
            return self.step(*self._arguments)

    def _record(self) -> None:
        """Capture the step without executing it."""
        graph, device = torch.cuda.CUDAGraph(), self._arguments[0].device
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=torch.cuda.Stream(device)):
            self._result = self.step(*self._arguments)
        self._graph, self._places = graph, self._present_places()

    def _aside(self) -> dict[str, Tensor]:
        """Run the step in a separate stream, which a later capture requires."""
        device = self._arguments[0].device
        stream, present = torch.cuda.Stream(device), torch.cuda.current_stream(device)
        stream.wait_stream(present)
        with torch.cuda.stream(stream):
            result = self.step(*self._arguments)
        present.wait_stream(stream)
        return result

    def _present_places(self) -> list[int]:
        """Memory addresses of the parameters, learning rates and optimizer states; 0 for a Python number."""
        groups, remembered = self.optimizer.param_groups, self.optimizer.state.values()
        values = [each for group in groups for each in (group["lr"], *group["params"])]
        values += [each for state in remembered for each in state.values()]
        return [each.data_ptr() if isinstance(each, Tensor) else 0 for each in values]


def make_capturable(optimizer: Optimizer, device: torch.device | str) -> None:
    """Keep the step counts and the learning rates of `optimizer` as tensors on `device`, so that a captured step uses
    their current values."""
    device = torch.device(device)
    for group in optimizer.param_groups:
        group["capturable"] = device.type == "cuda"
        rate = group["lr"]
        if not isinstance(rate, Tensor) or rate.device != device or rate.dtype != torch.float32:
            group["lr"] = torch.zeros((), device=device)
            group["lr"].fill_(rate)
    for parameter, state in optimizer.state.items():
        if isinstance(state.get("step"), Tensor):
            state["step"] = state["step"].to(parameter.device)


def set_rate(optimizer: Optimizer, rate: float | Tensor) -> None:
    """Set the learning rate; a tensor is filled in place, which does not synchronize."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = float(rate)


@contextmanager
def _no_host_sync() -> Iterator[None]:
    """Within the block, an operation that synchronizes with the GPU raises RuntimeError."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
