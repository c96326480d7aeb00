"""Gaussian weights under multiplicative noise: passes, divergences by quadrature, and the gain of a step taken."""

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.func import grad, vmap

from rlgen.equations.exploration_bonuses import information_gain_local, information_gain_shared
from rlgen.equations.gaussians import kl_gaussian
from rlgen.equations.multiplicative_noise import (
    expected_log_reverse,
    information_gain_scaled_local,
    information_gain_scaled_shared,
    scaled_kl_gaussian,
    scaled_local_reparametrization,
    scaled_shared_reparametrization,
)
from rlgen.equations.reparametrization import local_reparametrization, shared_reparametrization

ROWS, FAN_IN, FAN_OUT, STEP, LIKELIHOOD_STD = 4, 3, 2, 0.01, 0.7
GAINS = {"local": information_gain_scaled_local, "shared": information_gain_scaled_shared}
PASSES = {"local": scaled_local_reparametrization, "shared": scaled_shared_reparametrization}
PLAIN = {"local": local_reparametrization, "shared": shared_reparametrization}
both_samplings = pytest.mark.parametrize("sampling", GAINS)


class World:
    """Inputs [1, B, I], weights, noise and z of a layer, all float64."""

    def __init__(self, sampling: str = "local", samples: int = 1):
        self.generator = torch.Generator().manual_seed(0)
        self.sampling, self.samples = sampling, samples
        self.inputs, self.y = self.normal(1, ROWS, FAN_IN), self.normal(ROWS, FAN_OUT)
        self.mean, self.bias = self.normal(FAN_IN, FAN_OUT), self.normal(FAN_OUT)
        self.std, self.bias_std = self.normal(FAN_IN, FAN_OUT).abs() + 0.1, self.normal(FAN_OUT).abs() + 0.1
        if sampling == "local":
            self.scale, self.noise = self.z(samples, ROWS, FAN_IN), (self.normal(samples, ROWS, FAN_OUT),)
        else:
            self.scale = self.z(samples, FAN_IN)
            self.noise = self.normal(samples, FAN_IN, FAN_OUT), self.normal(samples, FAN_OUT)
        self.many = self.z(1000, FAN_IN)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def z(self, *shape: int) -> Tensor:
        return 1 + 0.5 * self.normal(*shape)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.mean, self.std, self.bias, self.bias_std

    def divergence(self, parameters: tuple[Tensor, ...]) -> Tensor:
        """E_z KL[q(W | z; parameters) ‖ q(W | z)] over `many`, biases too."""
        mean, std, bias, bias_std = parameters
        z = self.many.unsqueeze(-1)
        weights = kl_gaussian(z * mean, std, z * self.mean, self.std).sum((-2, -1)).mean()
        return weights + kl_gaussian(bias, bias_std, self.bias, self.bias_std).sum()

    def gradients(self) -> tuple[Tensor, ...]:
        """Of the S-sample average of -log p, for every row."""
        local = self.sampling == "local"

        def loss(parameters: tuple[Tensor, ...], x: Tensor, y: Tensor, scale: Tensor, *noise: Tensor) -> Tensor:
            if local:
                scale, noise = scale.unsqueeze(1), (noise[0].unsqueeze(1),)
            output, _ = PASSES[self.sampling](x[None, None], scale, *parameters, *noise)
            return -Normal(output, LIKELIHOOD_STD, validate_args=False).log_prob(y).sum() / self.samples

        rows = (1, 1) if local else (None, None, None)
        arguments = self.parameters, self.inputs[0], self.y, self.scale, *self.noise
        return vmap(grad(loss), in_dims=(None, 0, 0, *rows))(*arguments)

    def gain(self) -> Tensor:
        """What the project computes."""
        moment = self.many.square().mean(0)
        output, trace = PASSES[self.sampling](self.inputs, self.scale, *self.parameters, *self.noise, moment)
        sensitivity = (output - self.y) / LIKELIHOOD_STD**2
        return GAINS[self.sampling]([trace], [sensitivity], STEP)


@both_samplings
@pytest.mark.parametrize("samples", [1, 3])
def test_the_output_is_that_of_gaussian_weights_whose_means_are_scaled(sampling: str, samples: int) -> None:
    world = World(sampling, samples)
    output, _ = PASSES[sampling](world.inputs, world.scale, *world.parameters, *world.noise)
    for s in range(samples):
        for row in range(ROWS):
            scale = world.scale[s, row] if sampling == "local" else world.scale[s]
            noise = [each[s : s + 1] for each in world.noise]
            if sampling == "local":
                noise = [noise[0][:, row : row + 1]]
            x = world.inputs[:, row : row + 1]
            expected, _ = PLAIN[sampling](x, scale[:, None] * world.mean, *world.parameters[1:], *noise)
            torch.testing.assert_close(output[s, row], expected[0, 0])


@both_samplings
@pytest.mark.parametrize("samples", [1, 3])
def test_the_way_back_to_the_inputs_is_that_of_autograd(sampling: str, samples: int) -> None:
    world = World(sampling, samples)
    inputs = world.inputs.expand(samples, -1, -1).clone().requires_grad_()
    output, trace = PASSES[sampling](inputs, world.scale, *world.parameters, *world.noise)
    sensitivity = world.normal(samples, ROWS, FAN_OUT)
    (expected,) = torch.autograd.grad(output, inputs, sensitivity)
    torch.testing.assert_close(trace.input_gradient(sensitivity).detach(), expected)


def test_the_divergence_given_z_is_that_of_torch_distributions() -> None:
    world = World()
    ours = scaled_kl_gaussian(world.many[:5], world.mean, world.std, 0.6)
    given = Normal(world.many[:5, :, None] * world.mean, world.std)
    torch.testing.assert_close(ours, kl_divergence(given, Normal(0.0, 0.6)).sum((-2, -1)))
    drawn = given.sample((100_000,))
    estimate = (given.log_prob(drawn) - Normal(0.0, 0.6).log_prob(drawn)).sum((-2, -1)).mean(0)
    torch.testing.assert_close(ours, estimate, rtol=0.01, atol=0)


def test_the_reverse_model_is_bayes_rule_for_gaussian_noise() -> None:
    # One weight: the posterior of z by quadrature, its logarithm averaged over the weight by another.
    z, mean, std, center, spread = 1.3, 0.8, 0.4, 0.9, 0.5
    weights = torch.linspace(z * mean - 10 * std, z * mean + 10 * std, 801, dtype=torch.float64)
    grid = torch.linspace(center - 10 * spread, center + 10 * spread, 4001, dtype=torch.float64)

    def joint(z: Tensor) -> Tensor:
        """[weights, z]"""
        return Normal(z * mean, std).log_prob(weights[:, None]) + Normal(center, spread).log_prob(z)

    evidence = torch.trapezoid(joint(grid).exp(), grid).log()
    log_posterior = joint(torch.tensor([z]).double())[:, 0] - evidence
    expected = torch.trapezoid(Normal(z * mean, std).log_prob(weights).exp() * log_posterior, weights)
    arguments = (torch.tensor([number], dtype=torch.float64) for number in (z, center, spread))
    z, center, spread = arguments
    matrices = (torch.tensor([[number]], dtype=torch.float64) for number in (mean, std))
    torch.testing.assert_close(expected_log_reverse(z, *matrices, center, spread), expected, rtol=1e-8, atol=0)


def test_with_gaussian_noise_the_bound_on_the_divergence_has_no_gap() -> None:
    world, spread, prior_std = World(), 0.5, 0.6
    one = torch.ones(1, dtype=torch.float64)
    z = torch.linspace(1 - 10 * spread, 1 + 10 * spread, 4001, dtype=torch.float64)
    mean, std = world.mean[:1], world.std[:1]
    log_prob = Normal(one, spread * one).log_prob(z)
    bound = scaled_kl_gaussian(z[:, None], mean, std, prior_std) + log_prob
    bound = bound - expected_log_reverse(z[:, None], mean, std, one, spread * one)
    bound = torch.trapezoid(log_prob.exp() * bound, z)
    covariance = torch.diag(std[0] ** 2) + spread**2 * mean[0].outer(mean[0])
    prior = MultivariateNormal(torch.zeros(FAN_OUT).double(), prior_std**2 * torch.eye(FAN_OUT).double())
    torch.testing.assert_close(bound, kl_divergence(MultivariateNormal(mean[0], covariance), prior), rtol=1e-9, atol=0)


@both_samplings
@pytest.mark.parametrize("samples", [1, 3])
def test_the_gain_is_that_of_the_whole_hessian_of_the_divergence(sampling: str, samples: int) -> None:
    world = World(sampling, samples)
    blocks = hessian(lambda *parameters: world.divergence(parameters), world.parameters)
    sizes = [parameter.numel() for parameter in world.parameters]
    matrix = torch.cat(
        [
            torch.cat([b.reshape(rows, columns) for b, columns in zip(row, sizes, strict=True)], 1)
            for row, rows in zip(blocks, sizes, strict=True)
        ]
    )
    gradient = torch.cat([each.flatten(1) for each in world.gradients()], 1)
    expected = 0.5 * STEP**2 * (gradient * torch.linalg.solve(matrix, gradient.T).T).sum(1)
    torch.testing.assert_close(world.gain(), expected, rtol=1e-9, atol=0)


@both_samplings
def test_the_gain_is_the_divergence_of_a_small_step_taken(sampling: str) -> None:
    world = World(sampling)
    moment = world.many.square().mean(0)[:, None]
    curvature = moment / world.std**2, 2 / world.std**2, 1 / world.bias_std**2, 2 / world.bias_std**2
    gradients, gain = world.gradients(), world.gain()
    for row in range(ROWS):
        pairs = zip(world.parameters, gradients, curvature, strict=True)
        small = 1e-3
        moved = tuple(old - small * STEP * of_row[row] / curved for old, of_row, curved in pairs)
        taken = world.divergence(moved) / small**2
        assert taken.item() == pytest.approx(gain[row].item(), rel=1e-3)


def test_noise_that_is_one_gains_what_gaussian_weights_do() -> None:
    for sampling, plain in (("local", information_gain_local), ("shared", information_gain_shared)):
        world = World(sampling, 3)
        one = torch.ones_like(world.scale)
        moment = torch.ones(FAN_IN, dtype=torch.float64)
        output, scaled = PASSES[sampling](world.inputs, one, *world.parameters, *world.noise, moment)
        _, trace = PLAIN[sampling](world.inputs, *world.parameters, *world.noise)
        sensitivity = (output - world.y) / LIKELIHOOD_STD**2
        torch.testing.assert_close(
            GAINS[sampling]([scaled], [sensitivity], STEP), plain([trace], [sensitivity], STEP), rtol=1e-12, atol=0
        )
