"""Running average of a network's weights (Polyak & Juditsky 1992): what generators sample by and cloning keeps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rlgen.equations.moving_average import warmed_up_decay
from rlgen.errors import problem


class MovingAverage:
    """average ← d · average + (1 - d) · weights, of the modules given by name.

    d is the decay, warmed up (`rlgen.equations.moving_average`). A batch norm's running statistics are averaged like
    weights, because they belong to them; other buffers (a codebook, the vectors of a spectral norm) are used as they
    are.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float):
        if not 0 < decay < 1:
            raise problem("a decay between 0 and 1", str(decay), "use e.g. 0.999")
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
        decay = warmed_up_decay(self.decay, self.merges)
        self.merges += 1
        torch._foreach_lerp_(list(self.average.values()), list(self.present.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the modules have the averaged weights."""
        kept = [tensor.detach().clone() for tensor in self.present.values()]
        self._put(list(self.average.values()))
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(list(self.present.values()), values)

    def state_dict(self) -> dict[str, Any]:
        return {"average": dict(self.average), "merges": self.merges}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["average"].keys() != self.average.keys():
            raise problem("the average of the same modules", "another's", "load it into the model that saved it")
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
