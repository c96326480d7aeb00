"""Exploration bonuses of single transitions: information gain, compression improvement, error and disagreement.

The reward of VIME is KL[q(θ; φ') ‖ q(θ; φ)], φ' the posterior one second-order step of size λ after the transition. q
is a diagonal Gaussian with mean μ and std σ. With g the gradient of -log p(y|x, θ), averaged over S weight samples,

    KL ≈ ½ λ² gᵀ H⁻¹ g = ½ λ² Σ (σ² g_μ² + ½ σ² g_σ²)        over all weights and biases,

where H is the Hessian of KL[q(φ') ‖ q(φ)] at φ' = φ: 1/σ² for a mean, 2 (dσ/dρ)²/σ² for the parameter ρ of a std
σ(ρ). The slope of σ(ρ) cancels, whatever the function. In a dense layer with input a [I], pre-activation γ [J] and
δ = ∂(-log p)/∂γ, both gradients are outer products, and the sums of their squares are matmuls: a batch costs about one
more forward pass, and memory is that of its activations. A bias is a weight with input 1. Shapes: S weight samples, B
batch, I inputs, J outputs.

Section 2.4 of VIME, Houthooft et al. 2016 (1605.09674), relates curiosity to the improvement in compressing the past
(Schmidhuber 2010). It arrives at KL[q(θ; φ) ‖ q(θ; φ')], the divergence with its arguments swapped. Both agree to
second order in the step, so the closed form has the same value for both. The compression improvement therefore takes
the step for every weight of every row:

    μ' = μ - λ σ² g_μ,        log σ' = log σ - ½ λ σ g_σ.

This is the same second-order step, in log σ instead of ρ so that σ' stays positive. A few rows are processed at a time;
time grows with B · I · J.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlgen.equations.reparametrization import LocalPass, SharedPass

Gain = Float[Tensor, " B"]
Matrix = Float[Tensor, "I J"]
Vector = Float[Tensor, " J"]
Outputs = Float[Tensor, "S B J"]

FEW_SAMPLES = 4
"""Largest number of samples for which a matmul per pair of samples is faster than outer products per row (measured)."""
CACHED_NUMBERS = 2**18
"""Numbers that fit into a core's cache: a megabyte in float32."""


def information_gain_local(
    layers: Sequence[LocalPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """KL[after ‖ before] of the posterior for each transition, nats [B], under local reparametrization.

    Houthooft et al. 2016 (1605.09674), section 2.5; the sampling is Kingma et al. 2015 (1506.02557), eq. 6.
    `sensitivities`: δ = ∂(-log p_s)/∂γ [S, B, J] of each layer, with -log p_s of each sample. `step_size`: λ.

    Differs from the paper's released code: the ½ of the second-order expansion is kept, because the result is then the
    divergence in nats.
    """
    terms = [local_layer_gain(layer, delta) for layer, delta in zip(layers, sensitivities, strict=True)]
    return 0.5 * step_size**2 * torch.stack(terms).sum(0)


def information_gain_shared(
    layers: Sequence[SharedPass], sensitivities: Sequence[Tensor], step_size: float = 0.01
) -> Gain:
    """`information_gain_local` with weight samples that the batch shares. Houthooft et al. 2016 (1605.09674), section
    2.5; the sampling is Blundell et al. 2015 (1505.05424), section 3.2."""
    terms = [shared_layer_gain(layer, delta) for layer, delta in zip(layers, sensitivities, strict=True)]
    return 0.5 * step_size**2 * torch.stack(terms).sum(0)


def local_layer_gain(layer: LocalPass, sensitivity: Outputs) -> Gain:
    """Σ (σ² g_μ² + ½ σ² g_σ²) of one layer's weights and biases [B]; Houthooft et al. 2016 (1605.09674), section 2.5.

    g_μ = a δ and g_σ = a² σ κ with κ = δ ζ/√v, averaged over the samples. For one sample: Σ_j δ² (v + ½ ζ²/v (a⁴ σ⁴ +
    σ_b⁴)), where v is known from the forward pass.
    """
    slope = layer.slope(sensitivity)
    if len(layer.inputs) == 1 < len(sensitivity):
        sensitivity, slope = sensitivity.mean(0, keepdim=True), slope.mean(0, keepdim=True)
    of_mean = _squares_of_mean(layer.inputs, sensitivity, layer.weight_var, layer.bias_var, layer.var)
    return of_mean + 0.5 * _squares_of_mean(layer.squares, slope, layer.weight_var.square(), layer.bias_var.square())


def shared_layer_gain(layer: SharedPass, sensitivity: Outputs) -> Gain:
    """Σ (σ² g_μ² + ½ σ² g_σ²) of one layer's weights and biases [B]; Houthooft et al. 2016 (1605.09674), section 2.5.

    g_μ = a δ and g_σ = a ε δ, averaged over the samples. For one sample: Σ_j (a² σ² (1 + ½ ε²) + σ_b² (1 + ½ ε_b²)) δ².
    """
    weight_var, bias_var = layer.weight_std.square(), layer.bias_std.square()
    inputs = layer.inputs.expand(len(sensitivity), -1, -1)
    total = sensitivity.new_zeros(sensitivity.shape[1])
    for s, t, count in _pairs(len(sensitivity)):
        weights = weight_var * (1 + 0.5 * layer.weight_noise[s] * layer.weight_noise[t])
        biases = bias_var * (1 + 0.5 * layer.bias_noise[s] * layer.bias_noise[t])
        products = torch.addmm(biases, inputs[s] * inputs[t], weights)
        total += count * torch.linalg.vecdot(sensitivity[s] * sensitivity[t], products)
    return total / len(sensitivity) ** 2


def _squares_of_mean(
    left: Float[Tensor, "S B I"],
    right: Float[Tensor, "S B J"],
    weight: Matrix,
    bias_weight: Vector,
    diagonal: Float[Tensor, "S B J"] | None = None,
) -> Gain:
    """Σ_ij weight_ij (mean_s left_si right_sj)² + Σ_j bias_weight_j (mean_s right_sj)² for every row.

    The square of a sum of outer products is a sum over pairs of samples, one matmul each. `diagonal`: left_s² weight +
    bias_weight, the matmul of each sample with itself, if it is already known. With many samples on a CPU, row by row
    is faster.
    """
    if len(right) > FEW_SAMPLES and right.device.type == "cpu":
        return _row_by_row(left, right, weight, bias_weight)
    total = right.new_zeros(right.shape[1])
    for s, t, count in _pairs(len(right)):
        known = diagonal is not None and s == t
        products = diagonal[s] if known else torch.addmm(bias_weight, left[s] * left[t], weight)  # type: ignore[index]
        total += count * torch.linalg.vecdot(right[s] * right[t], products)
    return total / len(right) ** 2


def _row_by_row(
    left: Float[Tensor, "S B I"], right: Float[Tensor, "S B J"], weight: Matrix, bias_weight: Vector
) -> Gain:
    """`_squares_of_mean` from explicit outer products, for as many rows at a time as fit into a core's cache."""
    rows = max(1, CACHED_NUMBERS // weight.numel())
    sums = []
    for some_left, some_right in zip(left.split(rows, 1), right.split(rows, 1), strict=True):
        outer = torch.bmm(some_left.permute(1, 2, 0), some_right.permute(1, 0, 2)).square_()
        sums.append(outer.flatten(1) @ weight.flatten() + some_right.sum(0).square() @ bias_weight)
    return torch.cat(sums) / len(right) ** 2


def _pairs(samples: int) -> Iterator[tuple[int, int, int]]:
    """(s, t, number of times the pair occurs in the square of a sum) for s ≤ t."""
    for s in range(samples):
        for t in range(s, samples):
            yield s, t, 1 if s == t else 2


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
    moved = 0.5 * mean.square() * (2 * log_std).exp()
    return (moved + 0.5 * _exp_beyond_linear(2 * log_std)).flatten(1).sum(1)


def _exp_beyond_linear(x: Tensor) -> Tensor:
    """e^x - 1 - x, never negative: near 0 by its series, where the difference of equal numbers would be left over."""
    series = x.square() * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x / 720))))
    return torch.where(x.abs() < 0.01, series, torch.expm1(x) - x)


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


def expected_information_gain(model_var: Float[Tensor, "B O"], noise_std: Tensor | float) -> Gain:
    """½ Σ log(1 + v/σ²) [B], nats: what an observation at these inputs is expected to say about the function, before it
    is made. MacKay 1992 (Information-based objective functions for active data selection), eq. 6, summed over outputs.

    v is the variance of each output's mean under the posterior of the weights, σ (`noise_std`, which broadcasts to v)
    the standard deviation of the noise around it. The sum is the mutual information of weights and observation where
    the function values of the outputs are Gaussian and independent, and else an upper bound. Noise that the model
    knows adds nothing to it, however large the errors are: that is its difference from the squared error, and from the
    gain of a single transition.
    """
    return 0.5 * torch.log1p(model_var / torch.as_tensor(noise_std).square()).sum(-1)


Predictions = Float[Tensor, "*batch Z"]
PerRow = Float[Tensor, "*batch"]


def prediction_error(predicted: Predictions, actual: Predictions) -> PerRow:
    """‖actual - predicted‖². Stadie, Levine & Abbeel 2015 (1507.00814), e(s, a) of a dynamics model."""
    return (actual - predicted).square().sum(-1)


def feature_error(predicted: Predictions, actual: Predictions) -> PerRow:
    """½ ‖φ̂(s') - φ(s')‖² between features. Pathak et al. 2017 (1705.05363), eq. 5; η times it is the bonus, eq. 6."""
    return prediction_error(predicted, actual) / 2


def distillation_error(predicted: Predictions, actual: Predictions) -> PerRow:
    """Squared error of a predictor against a fixed random network. Burda et al. 2018 (1810.12894), section 2.2.

    Differs from the paper: the mean over features instead of the sum, as in the released code, because the size of the
    bonus and of its gradient then does not depend on their number."""
    return (actual - predicted).square().mean(-1)


def count_bonus(counts: Float[Tensor, " B"]) -> PerRow:
    """1/√n of states that were visited n times. Strehl & Littman 2008; Tang et al. 2017 (#Exploration, 1611.04717), eq.
    1 without its weight; 1 for a state that was not."""
    return counts.clamp(min=1).rsqrt()


def pseudo_count(gain: Float[Tensor, " B"], scale: float = 1.0) -> PerRow:
    """(e^(c PG) - 1)⁻¹, the number of visits that a density model acts as if it had seen: the state's density rises as
    much by one more visit as a frequency would. Bellemare et al. 2016 (1606.01868), section 4, from ρ/(ρ' - ρ).

    `gain`: the prediction gain PG = log ρ'(x) - log ρ(x), nats, ρ' the density after a step on x; where it is negative,
    0 stands for it. `scale`: c of Ostrovski et al. 2017 (1703.01310), section 4, who have 0.1.

    Differs from the latter: without n^-1/2, because the step of `natural_gain` shrinks as 1/n already.
    """
    return 1 / torch.expm1(scale * gain.clamp(min=0))


def natural_gain(
    scores: Float[Tensor, "B D K"], features: Float[Tensor, "B D F"], inverse: Float[Tensor, "D K F F"]
) -> Gain:
    """Prediction gain of a natural-gradient step of a linear layer's weights on each row, to first order, nats [B]: gᵀ
    C⁻¹ g, g the gradient of the row's log-probability. Amari 1998 (Natural gradient works efficiently in learning).

    The D K outputs are logits δ-scored by `scores` = ∂ log ρ/∂ logit and have inputs φ (`features`, with a 1 for the
    bias), so that g of an output is δ φ. `inverse`: C⁻¹ of each output; C = n F + λ is the curvature of n visits
    (`curvature`) and of the weights' prior. Such a step is what maximum likelihood takes for one more visit; of a
    softmax without inputs the gain is 1/N for a value with N of n visits, up to terms of 1/n.

    Differs from Ostrovski et al. 2017 (1703.01310): a natural step of the last layer instead of one of the training's
    optimizer on all weights, whose gain hardly depends on how often a rare value was seen, and which costs a backward
    pass for each row.
    """
    total = scores.new_zeros(len(scores))
    for delta, phi, of_output in zip(scores.unbind(1), features.unbind(1), inverse, strict=True):
        products = (phi.unsqueeze(-1) * phi.unsqueeze(-2)).flatten(1)
        total += torch.linalg.vecdot(delta.square() @ of_output.flatten(1), products)
    return total


def curvature(probs: Float[Tensor, "B D K"], features: Float[Tensor, "B D F"]) -> Float[Tensor, "D K F F"]:
    """Fisher information of the weights of each of D K logits of softmaxes with these probabilities and inputs, mean
    over rows: E[p (1 - p) φ φᵀ]. Böhning 1992 (Multinomial logistic regression algorithm), the diagonal blocks.

    Differs from it: logits of one softmax count as independent, which adds at most about 1/n to the gain of a visit."""
    found = []
    for p, phi in zip(probs.unbind(1), features.unbind(1), strict=True):
        products = (phi.unsqueeze(-1) * phi.unsqueeze(-2)).flatten(1)
        found.append(((p * (1 - p)).T @ products).unflatten(1, (phi.shape[1], -1)))
    return torch.stack(found) / len(probs)


def first_visit_bonus(counts: Float[Tensor, " B"], first: Bool[Tensor, " B"], power: float) -> PerRow:
    """n^-power of states that were visited n times where the episode visits them for the first time, else 0. Zhang et
    al. 2020 (BeBold, 2012.08621), eq. 4.

    Differs from the paper: the bonus that is restricted to first visits is that of counts, not a difference of them."""
    return counts.clamp(min=1).pow(-power) * first


def elliptical_bonus(
    inverse: Float[Tensor, "N F F"], features: Float[Tensor, "N F"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, "N F F"]]:
    """φᵀ C⁻¹ φ of N episodes, and the inverses of C + φ φᵀ. Henaff et al. 2022 (E3B, 2210.05805), eqs. 1 and 2, by the
    formula of Sherman & Morrison.

    C is the sum of φ φᵀ of the episode so far plus the ridge with which it started. The bonus is large along directions
    that the episode has not had, and falls as 1/n along one that it repeats.
    """
    direction = torch.einsum("nij,nj->ni", inverse, features)
    bonus = torch.linalg.vecdot(features, direction)
    shrunk = direction.unsqueeze(-1) * direction.unsqueeze(-2) / (1 + bonus)[:, None, None]
    return bonus, inverse - shrunk


def disagreement(predictions: Float[Tensor, "E B Z"]) -> Float[Tensor, " B"]:
    """Variance of the predictions of E models around their mean. Pathak et al. 2019 (1906.04161), eq. 1.

    Differs from the paper: the mean over outputs instead of the sum, as in the released code, because the size of the
    bonus then does not depend on their number."""
    return (predictions - predictions.mean(0)).square().mean((0, 2))
