"""Batch norm for several players: frozen running statistics, and virtual batch norm with a reference batch."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rlgen.equations.gaussians import merge_moments
from rlgen.errors import problem
from rlgen.nn.layers import full_precision


def batch_norms_of_others(model: nn.Module, own: Collection[nn.Parameter]) -> list[nn.Module]:
    """The batch norms of `model` that do not belong to the parameters `own`.

    A batch norm without parameters belongs to the nearest enclosing module that has parameters.
    """
    mine = {id(parameter) for parameter in own}
    found: list[nn.Module] = []

    def visit(module: nn.Module, owned: bool) -> None:
        parameters = list(module.parameters())
        if parameters:
            owned = any(id(parameter) in mine for parameter in parameters)
        if isinstance(module, _BatchNorm) and module.track_running_stats and not owned:
            found.append(module)
        for child in module.children():
            visit(child, owned)

    visit(model, False)
    return found


@contextmanager
def frozen_running_stats(batch_norms: Sequence[nn.Module]) -> Iterator[None]:
    """Within the block the running statistics of `batch_norms` do not change. They still normalize with the statistics
    of the batch in training mode.

    Otherwise a generator's step would move the discriminator's statistics towards fakes, and the statistics of every
    network would be updated once per player.
    """
    training = [module for module in batch_norms if module.training]
    for module in training:
        module.track_running_stats = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in training:
            module.track_running_stats = True  # type: ignore[assignment]


Activations = Float[Tensor, "N C *place"]


class VirtualBatchNorm(nn.Module):
    """Virtual batch norm: normalizes every row with the statistics of a reference batch and of the row itself. Salimans
    et al. 2016 (1606.03498), section 3.5. Works only within `WithReference`.

    The row has the same weight as each of the R reference rows, 1 / (R + 1). Reference rows are normalized with the
    statistics of the reference batch alone.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.reference_rows = 0
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Activations) -> Activations:
        """Normalized activations. The first rows of `x` are the reference batch."""
        known = self.reference_rows
        if not 0 < known <= len(x):
            raise problem("rows of a reference batch first", f"{len(x)} rows", "put the network into WithReference")
        flat = full_precision(x.flatten(2) if x.ndim > 2 else x.unsqueeze(-1))  # [N, C, places]
        mean = flat[:known].mean((0, 2))
        var = (flat[:known] - mean[:, None]).square().mean((0, 2))
        own_mean = flat.mean(2)
        own_var = (flat - own_mean[..., None]).square().mean(2)
        own_count = (torch.arange(len(x), device=x.device) >= known).to(mean.dtype)[:, None]
        mean, var, _ = merge_moments(mean, var, mean.new_full((), known), own_mean, own_var, own_count)  # [N, C]
        scale = self.weight * torch.rsqrt(var + self.epsilon)
        return ((flat - mean[..., None]) * scale[..., None] + self.bias[:, None]).view_as(x).to(x.dtype)


class WithReference(nn.Module):
    """A network with `VirtualBatchNorm` layers and their reference batch [R, ...], which is in its state dict.

    Every forward pass includes the reference batch, so that its statistics follow the weights.
    """

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor):
        super().__init__()
        layers = [part for part in network.modules() if isinstance(part, VirtualBatchNorm)]
        if not layers or len(reference) == 0:
            raise problem(
                "a network with VirtualBatchNorm and a reference batch of 1 row or more",
                f"{len(layers)} such layers and {len(reference)} rows",
                "add the layers, or use the network itself",
            )
        for layer in layers:
            layer.reference_rows = len(reference)
        self.network = network
        self.register_buffer("reference", reference.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(torch.cat([self.reference, inputs]))[len(self.reference) :]
