"""Dropout for a network that was built without."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F


@contextmanager
def dropout_after_activations(network: nn.Module, share: float) -> Iterator[None]:
    """Within the block, zeroes `share` of the outputs of every activation of `network` (torch's own: Tanh, ReLU …) in
    each forward pass, and enlarges the others to make up. Srivastava et al. 2014."""

    def drop(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return F.dropout(output, share)

    activations = [part for part in network.modules() if type(part).__module__ == "torch.nn.modules.activation"]
    hooks = [activation.register_forward_hook(drop) for activation in activations] if share else []
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
