"""The Bayesian perceptron: its distribution over functions, its divergences, its loss, and what it learns."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from rlgen.errors import InputError
from rlgen.nn import BayesianDense, BayesianMLP, GaussianDense, mlp
from rlgen.nn.likelihood_std import LikelihoodStd

both_samplings = pytest.mark.parametrize("sampling", ["local", "shared"])


def network(sizes: tuple[int, ...] = (3, 8, 2), **settings) -> BayesianMLP:
    torch.manual_seed(0)
    return BayesianMLP(sizes, **settings).double()


def rows(count: int = 7, fan_in: int = 3, fan_out: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(count, fan, generator=generator, dtype=torch.float64) for fan in (fan_in, fan_out))


def moved(bayesian: BayesianMLP, by: float) -> BayesianMLP:
    with torch.no_grad():
        for parameter in bayesian.parameters():
            parameter += by * torch.randn_like(parameter)
    return bayesian


@both_samplings
@pytest.mark.parametrize("sizes", [(3, 2), (3, 8, 2), (3, 8, 5, 2)])
def test_samples_come_first_in_one_batch(sampling: str, sizes: tuple[int, ...]) -> None:
    x, _ = rows()
    assert network(sizes)(x, samples=4, sampling=sampling).shape == (4, 7, 2)


@both_samplings
def test_almost_certain_weights_are_a_plain_perceptron(sampling: str) -> None:
    bayesian = network((3, 8, 5, 2), initial_std=1e-9)
    plain = mlp([3, 8, 5, 2], nn.ReLU).double()
    linears = [layer for layer in plain if isinstance(layer, nn.Linear)]
    for linear, layer in zip(linears, bayesian.layers, strict=True):
        linear.weight.data, linear.bias.data = layer.mean[:-1].T, layer.mean[-1]
    x, _ = rows()
    torch.testing.assert_close(bayesian(x, 2, sampling), plain(x).expand(2, -1, -1), rtol=0, atol=1e-6)


def test_shared_samples_are_functions_and_local_ones_are_not() -> None:
    x, _ = rows(1)
    twice = x.expand(2, -1)
    shared, local = network()(twice, 3, "shared"), network()(twice, 3, "local")
    torch.testing.assert_close(shared[:, 0], shared[:, 1])
    assert (local[:, 0] != local[:, 1]).all()
    assert (shared[0] != shared[1]).all()


def test_both_samplings_have_the_same_moments_row_by_row() -> None:
    x, _ = rows(4)
    bayesian = moved(network(), 0.3)
    local, shared = (bayesian(x, 40_000, sampling).detach() for sampling in ("local", "shared"))
    torch.testing.assert_close(local.mean(0), shared.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(local.std(0), shared.std(0), rtol=0.03, atol=0)


def test_kl_to_the_prior_is_that_of_torch_distributions() -> None:
    bayesian = moved(network(prior_std=0.7), 0.5)
    expected = torch.zeros((), dtype=torch.float64)
    prior = Normal(*torch.tensor([0.0, 0.7], dtype=torch.float64))
    for weight_mean, weight_std, bias_mean, bias_std in bayesian.posterior():
        expected += kl_divergence(Normal(weight_mean, weight_std), prior).sum()
        expected += kl_divergence(Normal(bias_mean, bias_std), prior).sum()
    torch.testing.assert_close(bayesian.kl_to_prior(), expected, rtol=1e-12, atol=0)


def test_a_posterior_that_is_the_prior_has_no_divergence() -> None:
    assert network(prior_std=0.5, initial_std=0.5, initial_mean_std=0.0).kl_to_prior().item() == pytest.approx(
        0, abs=1e-12
    )


def test_kl_to_a_stored_posterior_is_that_of_torch_distributions() -> None:
    bayesian = network()
    stored = bayesian.posterior()
    assert bayesian.kl_to(stored).item() == 0
    moved(bayesian, 0.1)
    expected = torch.zeros((), dtype=torch.float64)
    for new, old in zip(bayesian.posterior(), stored, strict=True):
        for mean, std in ((0, 1), (2, 3)):
            expected += kl_divergence(Normal(new[mean], new[std]), Normal(old[mean], old[std])).sum()
    torch.testing.assert_close(bayesian.kl_to(stored), expected, rtol=1e-12, atol=0)
    assert not any(tensor.requires_grad for layer in stored for tensor in layer)


def test_initial_deviations_and_means_are_those_asked_for() -> None:
    first, last = BayesianMLP([400, 100, 1], initial_std=0.03).posterior()
    torch.testing.assert_close(first.weight_std, torch.full((400, 100), 0.03))
    assert first.weight_mean.std().item() == pytest.approx(1 / 20, rel=0.05)
    assert last.weight_mean.std().item() == pytest.approx(1 / 10, rel=0.3)
    assert BayesianMLP([400, 100], initial_mean_std=1.0).posterior()[0].weight_mean.std().item() == pytest.approx(
        1, rel=0.05
    )


def test_the_negative_elbo_is_its_two_terms() -> None:
    x, y = rows()
    bayesian = network()
    torch.manual_seed(5)
    outputs = bayesian(x, 3)
    log_prob = Normal(outputs, 0.8).log_prob(y).sum(-1).mean()
    torch.manual_seed(5)
    loss = bayesian.negative_elbo(x, y, n_data=1000, samples=3, likelihood_std=0.8)
    torch.testing.assert_close(loss, bayesian.kl_to_prior() / 1000 - log_prob, rtol=1e-12, atol=0)


def test_the_elbo_bounds_the_evidence_and_reaches_it_at_the_exact_posterior() -> None:
    # At inputs 0 only the bias is seen: a conjugate model, whose evidence and posterior are known in closed form.
    prior_std, noise, y = 0.5, 0.8, torch.tensor([[0.3], [1.1], [0.6]], dtype=torch.float64)
    x = torch.zeros(3, 1, dtype=torch.float64)
    bayesian = network((1, 1), prior_std=prior_std, initial_std=prior_std, initial_mean_std=0.0)
    var = 1 / (1 / prior_std**2 + 3 / noise**2)
    covariance = noise**2 * torch.eye(3).double() + prior_std**2
    evidence = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance).log_prob(y[:, 0])

    def bound() -> float:
        torch.manual_seed(0)
        return -3 * bayesian.negative_elbo(x, y, n_data=3, samples=200_000, likelihood_std=noise).item()

    assert bound() < evidence.item() - 0.1
    with torch.no_grad():
        bayesian.layers[0].mean[-1] = var * y.sum().item() / noise**2
        bayesian.layers[0].rho[-1] = math.log(math.expm1(math.sqrt(var)))
    assert bound() == pytest.approx(evidence.item(), abs=0.01)


def test_a_learned_likelihood_finds_the_spread_of_the_noise() -> None:
    torch.manual_seed(0)
    x = torch.zeros(2000, 1)
    y = torch.randn(2000, 2) * torch.tensor([0.2, 1.5])
    bayesian, spread = BayesianMLP([1, 2], initial_std=0.05), LikelihoodStd(2)
    optimizer = torch.optim.Adam([*bayesian.parameters(), *spread.parameters()], 0.03)
    for _ in range(200):
        optimizer.zero_grad()
        bayesian.negative_elbo(x, y, len(x), 1, spread()).backward()
        optimizer.step()
    torch.testing.assert_close(spread().detach(), torch.tensor([0.2, 1.5]), rtol=0.15, atol=0)


def test_predictive_deviation_grows_where_there_are_no_data() -> None:
    torch.manual_seed(0)
    x = torch.cat([torch.linspace(-2, -1, 60), torch.linspace(1, 2, 60)])[:, None]
    y = torch.sin(2 * x) + 0.05 * torch.randn_like(x)
    bayesian = BayesianMLP([1, 32, 1], nn.Tanh, prior_std=1.0, initial_std=0.05, initial_mean_std=1.0)
    optimizer = torch.optim.Adam(bayesian.parameters(), 0.03)
    for _ in range(300):
        optimizer.zero_grad()
        bayesian.negative_elbo(x, y, len(x), 1, 0.1).backward()
        optimizer.step()
    with torch.no_grad():
        at_data, between, outside = (
            bayesian(torch.tensor(points)[:, None], 500, "shared").std(0).max().item()
            for points in ([-1.5, 1.5], [0.0], [-4.0, 4.0])
        )
        error = bayesian(x, 200, "shared").mean(0) - y
    assert error.square().mean().sqrt().item() < 0.1, "it has learned the data, whose noise is 0.05"
    assert between > 1.5 * at_data
    assert outside > at_data


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": [3]}, "sizes of inputs and outputs"),
        ({"sizes": [3, 0, 1]}, "sizes of inputs and outputs"),
        ({"sizes": [3, 1], "prior_std": 0.0}, "positive prior_std and initial_std"),
        ({"sizes": [3, 1], "initial_std": -1.0}, "positive prior_std and initial_std"),
    ],
)
def test_impossible_networks_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BayesianMLP(**settings)


def test_a_pool_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="n_data"):
        network().negative_elbo(*rows(), n_data=0, samples=1, likelihood_std=1.0)


def test_a_likelihood_without_spread_is_refused() -> None:
    with pytest.raises(InputError, match="floor"):
        LikelihoodStd(2, initial=0.01, floor=0.01)
    assert LikelihoodStd(2, initial=0.3)().tolist() == pytest.approx([0.3, 0.3])


class PointMass(nn.Linear):
    """The simplest other posterior: weights that are known."""

    def __init__(self, fan_in: int, fan_out: int, *settings: float | None):
        super().__init__(fan_in, fan_out)

    def forward(self, inputs: Tensor, samples: int, sampling: str) -> Tensor:
        return super().forward(inputs).expand(samples, -1, -1)

    def kl_to_prior(self) -> Tensor:
        return self.weight.square().sum()

    def posterior(self) -> Tensor:
        return self.weight.detach().clone()

    def kl_to(self, stored: Tensor) -> Tensor:
        return (self.weight - stored).square().sum()


def test_another_posterior_fits_the_seam() -> None:
    bayesian = BayesianMLP([3, 8, 2], dense=PointMass).double()
    assert all(isinstance(layer, BayesianDense) for layer in bayesian.layers)
    assert isinstance(GaussianDense(1, 1), BayesianDense)
    x, y = rows()
    bayesian.negative_elbo(x, y, 10, 2, 0.5).backward()
    assert bayesian.kl_to(bayesian.posterior()).item() == 0
    with pytest.raises(InputError, match="diagonal Gaussian"):
        bayesian.information_gain(x, y, 0.5)


def test_a_saved_network_is_the_same_network() -> None:
    one, other = moved(network(), 0.2), network()
    other.load_state_dict(one.state_dict())
    assert other.kl_to(one.posterior()).item() == 0


@pytest.mark.parametrize("sampling", ["local", "shared"])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 8, 5, 2)])
def test_the_written_out_gradient_is_that_of_autograd(sizes: tuple[int, ...], samples: int, sampling: str) -> None:
    torch.manual_seed(0)
    bayesian, spread = moved(BayesianMLP(sizes, nn.Tanh, prior_std=0.7).double(), 0.3), LikelihoodStd(2, 0.6).double()
    x, y = rows(6)
    parameters = [*bayesian.parameters(), *spread.parameters()]
    torch.manual_seed(1)
    loss = bayesian.negative_elbo(x, y, 40, samples, spread(), sampling)
    by_autograd = torch.autograd.grad(loss, parameters)
    torch.manual_seed(1)
    written = bayesian.set_gradient(x, y, 40, samples, spread(), sampling)
    assert not written.requires_grad
    torch.testing.assert_close(written, loss.detach(), rtol=1e-12, atol=0)
    for parameter, expected in zip(parameters, by_autograd, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-13)


def test_a_gradient_is_written_over_the_one_before() -> None:
    bayesian, (x, y) = network(), rows(6)
    for _ in range(2):
        torch.manual_seed(1)
        bayesian.set_gradient(x, y, 40, 1, 0.5)
    once = [parameter.grad.clone() for parameter in bayesian.parameters()]
    torch.manual_seed(1)
    loss = bayesian.negative_elbo(x, y, 40, 1, 0.5)
    for kept, expected in zip(once, torch.autograd.grad(loss, list(bayesian.parameters())), strict=True):
        torch.testing.assert_close(kept, expected, rtol=1e-10, atol=1e-13)
