"""Exponential moving average of a network's weights (Polyak & Juditsky 1992), of policies and image models."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rlgen.equations.gaussians import warmed_up_decay
from rlgen.errors import problem


class MovingAverage:
    """average ← d · average + (1 - d) · weights, of the modules given by name. Decay 0 follows the weights themselves.

    d is the decay, warmed up (`rlgen.equations.gaussians`). A batch norm's running statistics are averaged like
    weights, because they belong to them; other buffers (a codebook, the vectors of a spectral norm) are used as they
    are.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float):
        if not 0 <= decay < 1:
            raise problem("a decay of at least 0 and below 1", str(decay), "use e.g. 0.999, or 0 for no average")
        self.decay, self.merges = decay, 0
        self.present = {
            f"{name}.{inner}": tensor for name, module in modules.items() for inner, tensor in _learned(module).items()
        }
        if not self.present:
            raise problem("modules with weights to average", "none", "use no average")
        self.average = {name: tensor.detach().clone() for name, tensor in self.present.items()}

    @torch.no_grad()
    def merge(self) -> None:
        """Take the present weights into the average."""
        average, present = list(self.average.values()), list(self.present.values())
        if self.decay:
            torch._foreach_lerp_(average, present, 1 - warmed_up_decay(self.decay, self.merges))
        else:
            torch._foreach_copy_(average, present)
        self.merges += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the modules have the averaged weights."""
        kept = self.swap_in()
        try:
            yield
        finally:
            self.swap_out(kept)

    def swap_in(self) -> list[Tensor]:
        """Give the modules the averaged weights. Returns those they had, for `swap_out`."""
        kept = [tensor.detach().clone() for tensor in self.present.values()]
        self.swap_out(list(self.average.values()))
        return kept

    @torch.no_grad()
    def swap_out(self, kept: list[Tensor]) -> None:
        """Give the modules back the weights that `swap_in` returned."""
        torch._foreach_copy_(list(self.present.values()), kept)

    def state_dict(self) -> dict[str, Any]:
        return {"average": dict(self.average), "merges": self.merges}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`. Raises `InputError` for an average of other weights."""
        shapes = {name: value.shape for name, value in state["average"].items()}
        if shapes != {name: value.shape for name, value in self.average.items()}:
            raise problem("averaged weights of the same names and shapes", "others", "load the model that saved them")
        for name, value in self.average.items():
            value.copy_(state["average"][name])
        self.merges = state["merges"]


def _learned(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, and the running statistics of batch norms."""
    found: dict[str, Tensor] = dict(module.named_parameters())
    for name, inner in module.named_modules():
        if isinstance(inner, _BatchNorm) and inner.track_running_stats:
            prefix = f"{name}." if name else ""
            assert inner.running_mean is not None
            assert inner.running_var is not None
            found |= {f"{prefix}running_mean": inner.running_mean, f"{prefix}running_var": inner.running_var}
    return found
