"""The closed form of the information gain against per-sample gradients, against steps taken, and numbers by hand."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.func import grad, vmap
from torch.nn.functional import softplus

from rlgen.equations import exploration_bonuses
from rlgen.equations.exploration_bonuses import (
    compression_improvement_local,
    compression_improvement_shared,
    information_gain_local,
    information_gain_shared,
    local_layer_gain,
    shared_layer_gain,
)
from rlgen.equations.reparametrization import local_reparametrization, shared_reparametrization

ROWS, STEP, LIKELIHOOD_STD = 5, 0.01, 0.7
NETWORKS = {1: [4, 3], 2: [4, 6, 3], 3: [4, 6, 5, 3]}
GAINS = {"local": information_gain_local, "shared": information_gain_shared}
COMPRESSIONS = {"local": compression_improvement_local, "shared": compression_improvement_shared}
every_case = pytest.mark.parametrize("samples", [1, 3, 6])
every_depth = pytest.mark.parametrize("depth", NETWORKS)
both_samplings = pytest.mark.parametrize("sampling", GAINS)


class World:
    """A network with its noise and some rows, all float64. Layers are dicts of μ, ρ of weights and biases."""

    def __init__(self, sampling: str, depth: int, samples: int, activation=torch.tanh):
        self.generator = torch.Generator().manual_seed(depth)
        self.sampling, self.samples, self.activation = sampling, samples, activation
        fans = list(pairwise(NETWORKS[depth]))
        self.layers = [
            {"mu": self.normal(i, j), "rho": self.normal(i, j) - 1, "b_mu": self.normal(j), "b_rho": self.normal(j) - 1}
            for i, j in fans
        ]
        self.x, self.y = self.normal(ROWS, fans[0][0]), self.normal(ROWS, fans[-1][1])
        if sampling == "local":
            self.noise = [(self.normal(samples, ROWS, j),) for _, j in fans]
        else:
            self.noise = [(self.normal(samples, i, j), self.normal(samples, j)) for i, j in fans]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def loss(self, layers: list[dict[str, Tensor]], x: Tensor, y: Tensor, noise: list[Tensor], sample: int) -> Tensor:
        """-log p(y|x, θ_sample) of one row, written out with the weights where they are sampled."""
        hidden = x
        for number, (layer, drawn) in enumerate(zip(layers, noise, strict=True)):
            std, bias_std = softplus(layer["rho"]), softplus(layer["b_rho"])
            if self.sampling == "local":
                spread = (hidden**2 @ std**2 + bias_std**2).sqrt()
                gamma = hidden @ layer["mu"] + layer["b_mu"] + drawn[0][sample] * spread
            else:
                weights, biases = layer["mu"] + std * drawn[0][sample], layer["b_mu"] + bias_std * drawn[1][sample]
                gamma = hidden @ weights + biases
            hidden = self.activation(gamma) if number < len(layers) - 1 else gamma
        return -Normal(hidden, LIKELIHOOD_STD, validate_args=False).log_prob(y).sum()

    def gradients(self) -> list[dict[str, Tensor]]:
        """Of the S-sample average, for every row: vmap(grad), leading dimension B."""

        def average(layers, x, y, noise):
            return torch.stack([self.loss(layers, x, y, noise, s) for s in range(self.samples)]).mean()

        row = 1 if self.sampling == "local" else None
        return vmap(grad(average), in_dims=(None, 0, 0, row))(self.layers, self.x, self.y, self.noise)

    def closed_form(self, step_size: float = STEP, equations: dict[str, Callable[..., Tensor]] = GAINS) -> Tensor:
        """What the project computes, δ by autograd."""
        layer_pass = local_reparametrization if self.sampling == "local" else shared_reparametrization
        hidden, traces, gammas = self.x[None], [], []
        for number, (layer, drawn) in enumerate(zip(self.layers, self.noise, strict=True)):
            hidden = self.activation(hidden) if number else hidden
            weights = layer["mu"], softplus(layer["rho"]), layer["b_mu"], softplus(layer["b_rho"])
            hidden, trace = layer_pass(hidden, *weights, *drawn)
            gammas.append(hidden if number else hidden.requires_grad_())
            traces.append(trace)
        loss = -Normal(hidden, LIKELIHOOD_STD).log_prob(self.y).sum()
        return equations[self.sampling](traces, torch.autograd.grad(loss, gammas), step_size).detach()


def inverse_hessian(layer: dict[str, Tensor], name: str) -> Tensor:
    """Of KL[new ‖ old] at old: σ² for a mean, σ²/(2 σ'(ρ)²) for a ρ, σ'(ρ) = sigmoid(ρ)."""
    rho = layer["b_rho" if name.startswith("b") else "rho"]
    variance = softplus(rho) ** 2
    return variance / (2 * torch.sigmoid(rho) ** 2) if name.endswith("rho") else variance


@both_samplings
@every_depth
@every_case
@pytest.mark.parametrize("activation", [torch.tanh, torch.relu])
def test_the_gain_is_that_of_per_sample_gradients(sampling: str, depth: int, samples: int, activation) -> None:
    world = World(sampling, depth, samples, activation)
    expected = torch.zeros(ROWS, dtype=torch.float64)
    for layer, gradients in zip(world.layers, world.gradients(), strict=True):
        for name, gradient in gradients.items():
            expected += 0.5 * STEP**2 * (gradient**2 * inverse_hessian(layer, name)).flatten(1).sum(1)
    torch.testing.assert_close(world.closed_form(), expected, rtol=1e-12, atol=0)


@both_samplings
@every_case
def test_the_gain_is_the_divergence_of_a_small_step_taken(sampling: str, samples: int) -> None:
    world = World(sampling, 3, samples)
    gradients = world.gradients()

    def taken(step_size: float) -> Tensor:
        """KL[q(φ - λ H⁻¹ g) ‖ q(φ)] by torch.distributions, [B]."""
        total = torch.zeros(ROWS, dtype=torch.float64)
        for layer, found in zip(world.layers, gradients, strict=True):
            new = {name: layer[name] - step_size * inverse_hessian(layer, name) * found[name] for name in layer}
            for mean, rho in (("mu", "rho"), ("b_mu", "b_rho")):
                old = Normal(layer[mean], softplus(layer[rho]))
                total += kl_divergence(Normal(new[mean], softplus(new[rho])), old).flatten(1).sum(1)
        return total

    errors = [float((taken(step) / world.closed_form(step) - 1).abs().max()) for step in (1e-3, 1e-4, 1e-5)]
    assert errors[-1] < 1e-3, "the ratio is 1 in the limit"
    for coarse, fine in pairwise(errors):
        assert fine == pytest.approx(coarse / 10, rel=0.1), (
            "the next order of the expansion is proportional to the step"
        )


@both_samplings
def test_the_gain_is_proportional_to_the_squared_step(sampling: str) -> None:
    world = World(sampling, 2, 3)
    torch.testing.assert_close(world.closed_form(0.3), 900 * world.closed_form(0.01))


@both_samplings
@every_case
def test_rows_do_not_influence_one_another(sampling: str, samples: int) -> None:
    world, alone = World(sampling, 2, samples), World(sampling, 2, samples)
    alone.x, alone.y = alone.x[2:3], alone.y[2:3]
    if sampling == "local":
        alone.noise = [(drawn[0][:, 2:3],) for drawn in alone.noise]
    torch.testing.assert_close(alone.closed_form(), world.closed_form()[2:3])


@both_samplings
@pytest.mark.parametrize("copies", [3, 6])
def test_copies_of_one_sample_gain_what_it_gains(sampling: str, copies: int) -> None:
    world = World(sampling, 3, 1)
    once = world.closed_form()
    world.noise = [tuple(drawn.expand(copies, *drawn.shape[1:]) for drawn in layer) for layer in world.noise]
    torch.testing.assert_close(world.closed_form(), once, rtol=1e-12, atol=0)


@both_samplings
def test_what_was_expected_teaches_nothing(sampling: str) -> None:
    world = World(sampling, 1, 1)
    layer = world.layers[0]
    world.noise = [tuple(torch.zeros_like(drawn) for drawn in world.noise[0])]
    world.y = world.x @ layer["mu"] + layer["b_mu"]
    torch.testing.assert_close(world.closed_form(), torch.zeros(ROWS).double(), rtol=0, atol=1e-25)


def test_the_more_surprising_the_outcome_the_larger_the_gain() -> None:
    world = World("local", 1, 1)
    world.x = world.x[:1].expand(ROWS, -1)
    world.noise = [(torch.zeros(1, ROWS, 3).double(),)]
    prediction = world.x @ world.layers[0]["mu"] + world.layers[0]["b_mu"]
    world.y = prediction + torch.arange(ROWS)[:, None]
    gains = world.closed_form()
    torch.testing.assert_close(gains, gains[1] * torch.arange(ROWS) ** 2)


def test_one_weight_by_hand() -> None:
    # a = 2, σ = 0.5, σ_b = 0.1, δ = 3. Local, ζ = 1.5: v = 1.01, δ² v + ½ δ² ζ²/v (16/16 + 0.0001).
    def one(number: float, *shape: int) -> Tensor:
        return torch.full(shape, number, dtype=torch.float64)

    a, std, bias_std, delta = one(2.0, 1, 1, 1), one(0.5, 1, 1), one(0.1, 1), one(3.0, 1, 1, 1)
    _, local_pass = local_reparametrization(a, one(0.0, 1, 1), std, one(0.0, 1), bias_std, one(1.5, 1, 1, 1))
    local = local_layer_gain(local_pass, delta)
    assert local.item() == pytest.approx(9 * 1.01 + 0.5 * 9 * 2.25 / 1.01 * 1.0001)
    # Shared, ε = 1.5, ε_b = -2: 9 (4 · 0.25 (1 + 1.125) + 0.01 (1 + 2)).
    noise = one(1.5, 1, 1, 1), one(-2.0, 1, 1)
    _, shared_pass = shared_reparametrization(a, one(0.0, 1, 1), std, one(0.0, 1), bias_std, *noise)
    shared = shared_layer_gain(shared_pass, delta)
    assert shared.item() == pytest.approx(9 * (2.125 + 0.03))


def test_many_samples_of_a_linear_layer_gain_what_the_exact_gradient_gains() -> None:
    # E[-log p] = ((y - aμ - μ_b)² + a²σ² + σ_b²)/(2 s²) + const, of which the gradient is known.
    world = World("local", 1, 100_000)
    layer, error = world.layers[0], world.y - world.x @ world.layers[0]["mu"] - world.layers[0]["b_mu"]
    inputs = torch.cat([world.x, torch.ones(ROWS, 1).double()], 1)  # the bias as one more weight
    std = softplus(torch.cat([layer["rho"], layer["b_rho"][None]]))
    of_mean = inputs[:, :, None] * error[:, None] / LIKELIHOOD_STD**2
    of_std = inputs[:, :, None] ** 2 * std / LIKELIHOOD_STD**2
    expected = 0.5 * STEP**2 * ((std * of_mean) ** 2 + 0.5 * (std * of_std) ** 2).sum((1, 2))
    torch.testing.assert_close(world.closed_form(), expected, rtol=0.03, atol=0)


@every_depth
def test_rows_of_outer_products_and_pairs_of_samples_agree(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("local", depth, 4)
    pairs = world.closed_form()
    monkeypatch.setattr(exploration_bonuses, "FEW_SAMPLES", 0)
    monkeypatch.setattr(exploration_bonuses, "CACHED_NUMBERS", 40)  # two rows of 6 × 3 at a time
    torch.testing.assert_close(world.closed_form(), pairs, rtol=1e-12, atol=0)


@both_samplings
@every_depth
@every_case
@pytest.mark.parametrize("cached", [exploration_bonuses.CACHED_NUMBERS, 40])
def test_compression_is_the_divergence_of_the_old_posterior_from_the_new_one(
    sampling: str, depth: int, samples: int, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration_bonuses, "CACHED_NUMBERS", cached)  # all rows at once, or one or two
    world, large = World(sampling, depth, samples), 0.2
    expected = torch.zeros(ROWS, dtype=torch.float64)
    for layer, found in zip(world.layers, world.gradients(), strict=True):
        for mean, rho in (("mu", "rho"), ("b_mu", "b_rho")):
            std, of_std = softplus(layer[rho]), found[rho] / torch.sigmoid(layer[rho])
            old = Normal(layer[mean], std)
            new = Normal(layer[mean] - large * std**2 * found[mean], std * (-0.5 * large * std * of_std).exp())
            expected += kl_divergence(old, new).flatten(1).sum(1)
    torch.testing.assert_close(world.closed_form(large, COMPRESSIONS), expected, rtol=1e-12, atol=0)


def test_compression_of_a_tiny_move_is_exact_in_float32() -> None:
    """KL[N(0, 1) ‖ N(-m, e^-2s)] is m²/2 + s² to second order, and never below 0."""
    torch.manual_seed(0)
    for size in (1e-8, 1e-5, 1e-3, 0.02, 0.3):
        mean, log_std = size * torch.randn(2, 5, 3, 4)
        found = exploration_bonuses._divergence(mean, log_std)
        exact = exploration_bonuses._divergence(mean.double(), log_std.double())
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=0)
        if size < 1e-4:
            second_order = (mean.double().square() / 2 + log_std.double().square()).flatten(1).sum(1)
            torch.testing.assert_close(exact, second_order, rtol=1e-3, atol=0)


@both_samplings
def test_compression_and_information_agree_in_small_steps_and_differ_in_large_ones(sampling: str) -> None:
    world = World(sampling, 3, 3)
    ratios = [world.closed_form(step, COMPRESSIONS) / world.closed_form(step) for step in (1e-5, 0.1)]
    torch.testing.assert_close(ratios[0], torch.ones(ROWS).double(), rtol=1e-3, atol=0)
    assert (ratios[1] - 1).abs().min() > 0.01
