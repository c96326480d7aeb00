"""Compression improvement of single transitions: the information gain with the arguments of its divergence swapped.

Section 2.4 of VIME, Houthooft et al. 2016 (1605.09674), relates curiosity to the improvement in compressing the past
(Schmidhuber 2010). It arrives at KL[q(θ; φ) ‖ q(θ; φ')], with φ the posterior before a transition and φ' the one after
it; the information gain is KL[q(θ; φ') ‖ q(θ; φ)]. Both agree to second order in the step, so the closed form of
`rlgen.equations.information` has the same value for both. This module therefore takes the step for every weight of
every row, with g_μ, g_σ of that module:

    μ' = μ - λ σ² g_μ,        log σ' = log σ - ½ λ σ g_σ.

This is the same second-order step, in log σ instead of ρ so that σ' stays positive. Shapes: S weight samples, B batch,
I inputs, J outputs. A few rows are processed at a time; time grows with B · I · J.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.information import CACHED_NUMBERS, Gain
from rlgen.equations.reparametrization import LocalPass, SharedPass

Moves = Iterator[tuple[Tensor, Tensor]]


def compression_improvement_local(
    layers: Sequence[LocalPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """KL[before ‖ after] of the posterior for each transition, nats [B], under local reparametrization.

    Houthooft et al. 2016 (1605.09674), section 2.4. Takes the arguments of `information_gain_local`.
    """
    return _improvement(_local_moves, layers, sensitivities, step_size)


def compression_improvement_shared(
    layers: Sequence[SharedPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """`compression_improvement_local` with weight samples that the batch shares. Houthooft et al. 2016 (1605.09674),
    section 2.4."""
    return _improvement(_shared_moves, layers, sensitivities, step_size)


def _improvement(
    moves: Callable[..., Moves], layers: Sequence[LocalPass | SharedPass], sensitivities: Sequence[Tensor], step: float
) -> Gain:
    total = sensitivities[0].new_zeros(sensitivities[0].shape[1])
    for layer, sensitivity in zip(layers, sensitivities, strict=True):
        parts = [_divergence(step * mean, 0.5 * step * log_std) for mean, log_std in moves(layer, sensitivity)]
        total += torch.cat(parts)
    return total


def _divergence(mean: Tensor, log_std: Tensor) -> Gain:
    """KL[N(μ, σ²) ‖ N(μ - σ mean, (σ e^-log_std)²)], summed over the weights [B, I, J] of each row."""
    return (-log_std + 0.5 * (1 + mean.square()) * (2 * log_std).exp() - 0.5).flatten(1).sum(1)


def _local_moves(layer: LocalPass, sensitivity: Tensor) -> Moves:
    """(σ g_μ, σ g_σ) [rows, I + 1, J]; the bias is a weight with input 1."""
    slope = sensitivity * layer.noise * layer.var.rsqrt()
    std, inputs = torch.cat([layer.weight_std, layer.bias_std[None]]), _with_one(layer.inputs, len(sensitivity))
    for a, d, k in zip(*_few_rows(std.numel(), inputs, sensitivity, slope), strict=True):
        yield std * _outer(a, d), std.square() * _outer(a.square(), k)


def _shared_moves(layer: SharedPass, sensitivity: Tensor) -> Moves:
    """`_local_moves` for shared weight samples."""
    std, inputs = torch.cat([layer.weight_std, layer.bias_std[None]]), _with_one(layer.inputs, len(sensitivity))
    noise = torch.cat([layer.weight_noise, layer.bias_noise[:, None]], 1)
    for a, d in zip(*_few_rows(std.numel() * len(noise), inputs, sensitivity), strict=True):
        yield std * _outer(a, d), std * torch.einsum("sbi,sbj,sij->bij", a, d, noise) / len(noise)


def _outer(left: Float[Tensor, "S B I"], right: Float[Tensor, "S B J"]) -> Float[Tensor, "B I J"]:
    """Mean over the samples of each row's outer product."""
    return torch.bmm(left.permute(1, 2, 0), right.permute(1, 0, 2)) / len(right)


def _with_one(inputs: Float[Tensor, "S_or_1 B I"], samples: int) -> Tensor:
    ones = torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)
    return ones.expand(samples, -1, -1)


def _few_rows(numbers: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Tensors [S, B, ...] split by rows into pieces whose outer products fit into a core's cache."""
    return [tensor.split(max(1, CACHED_NUMBERS // numbers), 1) for tensor in tensors]
