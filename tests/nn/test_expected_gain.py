"""The expected information gain, against the mutual information of models that have one in closed form."""

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.nn import BayesianMLP
from rlgen.nn.flow_dense import FlowDense
from rlgen.nn.likelihood_std import HeteroscedasticStd, LikelihoodStd


def network(sizes: tuple[int, ...], **settings) -> BayesianMLP:
    torch.manual_seed(0)
    bayesian = BayesianMLP(sizes, **settings).double()
    with torch.no_grad():
        for parameter in bayesian.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return bayesian


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_of_linear_regression_it_is_the_fall_of_the_posterior_s_entropy() -> None:
    bayesian, std = network((3, 2)), torch.tensor([0.4, 0.9], dtype=torch.float64)
    x = normal(5, 3)
    (layer,) = bayesian.posterior()
    rows = torch.cat([x, torch.ones(5, 1, dtype=torch.float64)], 1)
    expected = torch.zeros(5, dtype=torch.float64)
    for output in range(2):
        deviations = torch.cat([layer.weight_std[:, output], layer.bias_std[output : output + 1]])
        precision = torch.diag(deviations**-2)
        for number, row in enumerate(rows):
            after = precision + torch.outer(row, row) / std[output] ** 2
            expected[number] += 0.5 * (torch.logdet(after) - torch.logdet(precision))
    torch.testing.assert_close(bayesian.expected_gain(x, std), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("sizes", [(3, 2), (3, 7, 2)])
def test_the_moments_of_one_hidden_layer_are_those_of_samples(sizes: tuple[int, ...]) -> None:
    bayesian, x = network(sizes), normal(4, 3)
    with torch.no_grad():
        drawn = bayesian(x, 200_000, "local")
    mean, var = bayesian.moments(x)
    torch.testing.assert_close(mean, drawn.mean(0), rtol=0.01, atol=0.01)
    torch.testing.assert_close(var, drawn.var(0), rtol=0.02, atol=0)


def test_deeper_networks_are_approximated() -> None:
    bayesian, x = network((3, 24, 24, 2)), normal(4, 3)
    with torch.no_grad():
        drawn = bayesian(x, 20_000, "local")
    mean, var = bayesian.moments(x)
    assert ((mean - drawn.mean(0)).abs() < 0.1 * drawn.std(0)).all()
    assert ((var / drawn.var(0)).log().abs() < 0.35).all()


@pytest.mark.parametrize("settings", [{"activation": nn.Tanh}, {"dense": FlowDense}], ids=["tanh", "flow"])
def test_without_a_closed_form_the_moments_are_sampled(settings: dict) -> None:
    torch.manual_seed(0)
    bayesian, x = BayesianMLP((3, 7, 2), **settings).double(), normal(4, 3)
    with torch.no_grad():
        drawn = bayesian(x, 20_000)
    _, var = bayesian.moments(x, samples=20_000)
    torch.testing.assert_close(var, drawn.var(0), rtol=0.15, atol=0)


def test_known_noise_lowers_it_and_errors_do_not_raise_it() -> None:
    bayesian, x = network((3, 7, 2)), normal(4, 3)
    quiet, loud = (bayesian.expected_gain(x, std) for std in (0.1, 1.0))
    assert (quiet > 2 * loud).all()
    per_row = torch.tensor([[0.1], [1.0], [0.1], [1.0]], dtype=torch.float64).expand(4, 2)
    torch.testing.assert_close(bayesian.expected_gain(x, per_row), torch.where(per_row[:, 0] == 0.1, quiet, loud))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("chunk", [2048, 4])
def test_a_gain_with_noise_of_each_row_is_that_of_each_row_alone(samples: int, chunk: int) -> None:
    bayesian, x, y = network((3, 7, 2)), normal(6, 3), normal(6, 2)
    stds = 0.3 + normal(6, 2).square()
    torch.manual_seed(3)
    together = bayesian.information_gain(x, y, stds, samples=samples, chunk=chunk, sampling="shared")
    for number in range(6):
        row = slice(number, number + 1)
        torch.manual_seed(3)
        alone = bayesian.information_gain(x[row], y[row], stds[number], samples=samples, sampling="shared")
        torch.testing.assert_close(together[row], alone, rtol=1e-10, atol=0)


def test_the_written_out_gradient_of_noise_that_depends_on_the_inputs_is_that_of_autograd() -> None:
    bayesian, spread = network((3, 7, 2)), HeteroscedasticStd(3, 2, 0.6).double()
    with torch.no_grad():
        for parameter in spread.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    x, y = normal(6, 3), normal(6, 2)
    parameters = [*bayesian.parameters(), *spread.parameters()]
    torch.manual_seed(1)
    by_autograd = torch.autograd.grad(bayesian.negative_elbo(x, y, 40, 2, spread(x)), parameters)
    torch.manual_seed(1)
    bayesian.set_gradient(x, y, 40, 2, spread(x))
    for parameter, expected in zip(parameters, by_autograd, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-12)


def test_noise_that_depends_on_the_inputs_is_found() -> None:
    torch.manual_seed(0)
    bayesian, spread = BayesianMLP([1, 16, 1], initial_std=0.05), HeteroscedasticStd(1, 1)
    assert torch.allclose(spread(torch.randn(5, 1)), torch.tensor(0.5))
    optimizer = torch.optim.Adam([*bayesian.parameters(), *spread.parameters()], 1e-2)
    for _ in range(600):
        x = torch.rand(256, 1) * 2 - 1
        y = torch.where(x > 0, 1.0, 0.1) * torch.randn(256, 1)
        optimizer.zero_grad()
        bayesian.set_gradient(x, y, 10_000, 1, spread(x))
        optimizer.step()
    quiet, loud = spread(torch.tensor([[-0.7], [0.7]])).flatten().tolist()
    assert quiet == pytest.approx(0.1, abs=0.06)
    assert loud == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("make", [lambda: LikelihoodStd(2, 0.01, 0.01), lambda: HeteroscedasticStd(3, 2, 0.01, 0.01)])
def test_a_floor_above_the_start_is_refused(make) -> None:
    with pytest.raises(InputError, match="floor"):
        make()
