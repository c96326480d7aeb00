"""Dense layers with Gaussian weights: both ways to sample them have the moments of the weights themselves."""

import pytest
import torch
from torch import Tensor

from rlgen.equations.reparametrization import local_reparametrization, shared_reparametrization

ROWS, FAN_IN, FAN_OUT = 3, 4, 2


def layer(dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Inputs [1, B, I], then means and deviations of weights and biases."""
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    weights, biases = (FAN_IN, FAN_OUT), (FAN_OUT,)
    deviations = numbers(*weights).abs() + 0.1, numbers(*biases).abs() + 0.1
    return numbers(1, ROWS, FAN_IN), numbers(*weights), deviations[0], numbers(*biases), deviations[1]


def test_without_noise_both_are_the_layer_of_the_means() -> None:
    inputs, mean, _, bias, _ = arguments = layer()
    expected = torch.nn.functional.linear(inputs, mean.T, bias)
    local, _ = local_reparametrization(*arguments, torch.zeros(1, ROWS, FAN_OUT).double())
    shared, _ = shared_reparametrization(
        *arguments, torch.zeros(1, FAN_IN, FAN_OUT).double(), torch.zeros(1, FAN_OUT).double()
    )
    torch.testing.assert_close(local, expected)
    torch.testing.assert_close(shared, expected)


def test_a_weight_sample_is_one_and_the_same_linear_layer_for_every_row() -> None:
    inputs, mean, std, bias, bias_std = arguments = layer()
    weight_noise, bias_noise = torch.randn(5, FAN_IN, FAN_OUT).double(), torch.randn(5, FAN_OUT).double()
    output, _ = shared_reparametrization(*arguments, weight_noise, bias_noise)
    for sample in range(5):
        weights, biases = mean + std * weight_noise[sample], bias + bias_std * bias_noise[sample]
        torch.testing.assert_close(output[sample], torch.nn.functional.linear(inputs[0], weights.T, biases))


@pytest.mark.parametrize("sampling", ["local", "shared"])
def test_outputs_have_the_mean_and_variance_of_a_sum_of_independent_gaussians(sampling: str) -> None:
    torch.manual_seed(0)
    samples = 200_000
    inputs, mean, std, bias, bias_std = arguments = layer(torch.float32)
    if sampling == "local":
        output, _ = local_reparametrization(*arguments, torch.randn(samples, ROWS, FAN_OUT))
    else:
        output, _ = shared_reparametrization(
            *arguments, torch.randn(samples, FAN_IN, FAN_OUT), torch.randn(samples, FAN_OUT)
        )
    variance = torch.stack([(row[:, None] * std).square().sum(0) + bias_std.square() for row in inputs[0]])
    torch.testing.assert_close(output.mean(0), inputs[0] @ mean + bias, rtol=0, atol=0.03)
    torch.testing.assert_close(output.var(0), variance, rtol=0.02, atol=0)


def test_the_local_pass_keeps_the_variance_that_the_gain_needs() -> None:
    inputs, _, std, _, bias_std = arguments = layer()
    noise = torch.randn(2, ROWS, FAN_OUT).double()
    output, left = local_reparametrization(*arguments, noise)
    plain, _ = local_reparametrization(*arguments, torch.zeros_like(noise))
    torch.testing.assert_close(output - plain, noise * left.var.sqrt())
    torch.testing.assert_close(left.var[0, 1, 0], (inputs[0, 1] * std[:, 0]).square().sum() + bias_std[0].square())


@pytest.mark.parametrize("sampling", ["local", "shared"])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_way_back_to_the_inputs_is_that_of_autograd(sampling: str, samples: int) -> None:
    inputs, *weights = layer()
    inputs = torch.cat([inputs * (1 + number) for number in range(samples)]).requires_grad_()
    sensitivity = torch.randn(samples, ROWS, FAN_OUT).double()
    if sampling == "local":
        output, left = local_reparametrization(inputs, *weights, torch.randn(samples, ROWS, FAN_OUT).double())
    else:
        noise = torch.randn(samples, FAN_IN, FAN_OUT).double(), torch.randn(samples, FAN_OUT).double()
        output, left = shared_reparametrization(inputs, *weights, *noise)
    (expected,) = torch.autograd.grad(output, inputs, sensitivity)
    torch.testing.assert_close(left.input_gradient(sensitivity), expected, rtol=1e-12, atol=1e-12)


def test_the_slope_is_twice_the_derivative_by_the_variance() -> None:
    inputs, *weights = layer()
    noise, sensitivity = torch.randn(2, 1, ROWS, FAN_OUT).double()
    _, left = local_reparametrization(inputs, *weights, noise)
    var = left.var.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(noise * var.sqrt(), var, sensitivity)
    torch.testing.assert_close(left.slope(sensitivity), 2 * derivative, rtol=1e-12, atol=0)
