"""Batch normalisation by a batch that never changes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.statistics import merge_moments
from rlgen.errors import problem
from rlgen.nn.precision import full_precision

Activations = Float[Tensor, "N C *place"]


class VirtualBatchNorm(nn.Module):
    """Normalises every row by the statistics of a reference batch and of that row itself; only within `WithReference`.
    Salimans et al. 2016 (1606.03498), section 3.5.

    A row counts as much as each of the reference's: 1 / (R + 1) of the whole. Rows of the reference are normalised by
    the reference alone.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.reference_rows = 0
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Activations) -> Activations:
        """The reference's rows come first."""
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
    """A network with `VirtualBatchNorm` layers and the reference batch [R, ...] they need, which its state dict holds.

    Every pass takes the reference through the network as well, so that its statistics follow the weights.
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
