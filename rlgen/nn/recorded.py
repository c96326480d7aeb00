"""A gradient step as one launch of a GPU instead of hundreds."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

log = logging.getLogger("rlgen")
WARM_UPS = 3
"""Calls before the recording; libraries allocate and choose their kernels in the first ones."""


class Recorded:
    """`step`, which takes steps of `optimiser`, recorded as a CUDA graph once it has been called a few times; on a CPU
    it stays as it is.

    Every call does what `step` does; arguments of other shapes than at first are given to it directly. Recorded anew
    where the optimiser's tensors have moved, as they do when it loads a state. Whatever else `step` reads besides its
    arguments must keep its place in memory, and numbers of the host stay what they were: make another `Recorded` where
    they change. A step that waits for the device cannot be recorded; the log says so, and it goes on as it is. What
    was returned is written over by the next call.
    """

    def __init__(self, step: Callable[..., dict[str, Tensor]], optimiser: Optimizer) -> None:
        self.step, self.optimiser = step, optimiser
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
            make_recordable(self.optimiser, arguments[0].device)
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
        """The last one also finds out whether the step waits."""
        if self._calls < WARM_UPS:
            return self._aside()
        try:
            with _no_waiting():
                return self._aside()
        except RuntimeError as error:
            self._waits = True
            name = getattr(self.step, "__qualname__", repr(self.step))
            log.warning("%s is not recorded, and slower, because it waits for the GPU: %s", name, error)
            return self.step(*self._arguments)

    def _record(self) -> None:
        """Note what is to be done; nothing is done yet."""
        graph, device = torch.cuda.CUDAGraph(), self._arguments[0].device
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=torch.cuda.Stream(device)):
            self._result = self.step(*self._arguments)
        self._graph, self._places = graph, self._present_places()

    def _aside(self) -> dict[str, Tensor]:
        """In a stream of its own, as a recording needs it from what it is to record."""
        device = self._arguments[0].device
        stream, present = torch.cuda.Stream(device), torch.cuda.current_stream(device)
        stream.wait_stream(present)
        with torch.cuda.stream(stream):
            result = self.step(*self._arguments)
        present.wait_stream(stream)
        return result

    def _present_places(self) -> list[int]:
        """Of the parameters, the learning rates and what the optimiser remembers; 0 for a number of the host."""
        groups, remembered = self.optimiser.param_groups, self.optimiser.state.values()
        values = [each for group in groups for each in (group["lr"], *group["params"])]
        values += [each for state in remembered for each in state.values()]
        return [each.data_ptr() if isinstance(each, Tensor) else 0 for each in values]


def make_recordable(optimiser: Optimizer, device: torch.device | str) -> None:
    """It counts its steps on the device, and its learning rate is a tensor there, which a recording sees change."""
    device = torch.device(device)
    for group in optimiser.param_groups:
        group["capturable"] = device.type == "cuda"
        rate = group["lr"]
        if not isinstance(rate, Tensor) or rate.device != device or rate.dtype != torch.float32:
            group["lr"] = torch.zeros((), device=device)
            group["lr"].fill_(rate)
    for parameter, state in optimiser.state.items():
        if isinstance(state.get("step"), Tensor):
            state["step"] = state["step"].to(parameter.device)


def set_rate(optimiser: Optimizer, rate: float | Tensor) -> None:
    """The learning rate of its next steps, in place where it is a tensor: a fill waits for nothing."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = float(rate)


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Within the block, what waits for a GPU raises."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
