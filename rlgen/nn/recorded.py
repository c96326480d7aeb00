"""A function of tensors as one launch of a GPU instead of hundreds."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

log = logging.getLogger("rlgen")
WARM_UPS = 3
"""Calls before the recording; libraries allocate and choose their kernels in the first ones."""


class Recorded:
    """`function`, recorded as a CUDA graph once it has been called a few times; on a CPU it stays as it is.

    Every call does what `function` does; arguments of other shapes than at first are given to it directly. What it
    reads besides its arguments must keep its place in memory, and numbers of the host stay what they were when it was
    recorded: make another `Recorded` where they change. It must not wait for the device; one that does goes on
    unrecorded, and the log says so. The tensors it returned are written over by the next call.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]]) -> None:
        self.function = function
        self._calls = 0
        self._refused = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._arguments: list[Tensor] = []
        self._result: dict[str, Tensor] = {}

    def __call__(self, *arguments: Tensor) -> dict[str, Tensor]:
        if self._refused or arguments[0].device.type != "cuda":
            return self.function(*arguments)
        if not self._arguments:
            self._arguments = [each.clone() for each in arguments]
        if [each.shape for each in arguments] != [each.shape for each in self._arguments]:
            return self.function(*arguments)
        for kept, given in zip(self._arguments, arguments, strict=True):
            kept.copy_(given)
        if self._graph is None:
            self._calls += 1
            if self._calls <= WARM_UPS:
                return self._aside()
            self._record()
        if self._graph is None:
            return self.function(*arguments)
        self._graph.replay()
        return self._result

    def _record(self) -> None:
        """Note what is to be done; nothing is done yet."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._result = self.function(*self._arguments)
        except RuntimeError as error:
            self._refused = True
            name = getattr(self.function, "__qualname__", repr(self.function))
            log.warning("%s goes on unrecorded, and slower: %s", name, error)
        else:
            self._graph = graph

    def _aside(self) -> dict[str, Tensor]:
        """In a stream of its own, as a recording needs it from what it is to record."""
        device = self._arguments[0].device
        stream, present = torch.cuda.Stream(device), torch.cuda.current_stream(device)
        stream.wait_stream(present)
        with torch.cuda.stream(stream):
            result = self.function(*self._arguments)
        present.wait_stream(stream)
        return result


def make_recordable(optimiser: Optimizer, device: torch.device | str) -> None:
    """Before the first of its steps that is recorded, and again after it has loaded a state: it counts on the device,
    and its learning rate is a tensor there, which a recording sees change (`set_rate`)."""
    for group in optimiser.param_groups:
        group["capturable"] = torch.device(device).type == "cuda"
        group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32).to(device)


def set_rate(optimiser: Optimizer, rate: float | Tensor) -> None:
    """The learning rate of its next steps, in place where it is a tensor: a fill waits for nothing."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
