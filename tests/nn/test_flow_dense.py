"""Weights under a multiplicative flow: bounds held to exact divergences, the gain to per-sample gradients and steps."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.func import grad, vmap
from torch.nn.functional import softplus

from rlgen.equations.multiplicative_noise import scaled_local_reparametrization, scaled_shared_reparametrization
from rlgen.errors import InputError
from rlgen.nn import BayesianDense, BayesianMLP, FlowDense, GaussianDense
from rlgen.nn.bayesian_dense import Drawn
from rlgen.nn.first_order_gain import first_order_gain
from rlgen.nn.likelihood_std import LikelihoodStd

both_samplings = pytest.mark.parametrize("sampling", ["local", "shared"])


def moved(module: nn.Module, by: float) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += by * torch.randn_like(parameter)
    return module


def layer(*fans: int, by: float = 0.2, **settings) -> FlowDense:
    torch.manual_seed(0)
    return moved(FlowDense(*fans, **settings).double(), by)


def network(sizes: tuple[int, ...] = (3, 6, 2), by: float = 0.2, **settings) -> tuple[BayesianMLP, Tensor, Tensor]:
    torch.manual_seed(0)
    made = BayesianMLP(sizes, nn.Tanh, initial_std=0.3, dense=partial(FlowDense, **settings)).double()
    x, y = torch.randn(5, sizes[0]).double(), torch.randn(5, sizes[-1]).double()
    return moved(made, by), x, y


def weights_without_flow(dense: FlowDense) -> list[MultivariateNormal]:
    """The exact density of the weights of each input, where z is Gaussian: correlated Gaussians."""
    own, spread = dense.gaussian.weights(), softplus(dense.noise.rho)
    found = []
    for i in range(len(spread)):
        covariance = torch.diag(own.weight_std[i] ** 2) + spread[i] ** 2 * own.weight_mean[i].outer(own.weight_mean[i])
        found.append(MultivariateNormal(dense.noise.mean[i] * own.weight_mean[i], covariance))
    return found


def exact_kl_to_prior(dense: FlowDense) -> Tensor:
    own, prior_std = dense.gaussian.weights(), dense.gaussian.prior_std
    biases = kl_divergence(Normal(own.bias_mean, own.bias_std), Normal(0.0, prior_std)).sum()
    prior = MultivariateNormal(torch.zeros_like(own.bias_mean), prior_std**2 * torch.eye(len(own.bias_mean)).double())
    return biases + torch.stack([kl_divergence(q, prior) for q in weights_without_flow(dense)]).sum()


def match_reverse(dense: FlowDense) -> FlowDense:
    with torch.no_grad():
        dense.reverse_mean.copy_(dense.noise.mean)
        dense.reverse_rho.copy_(dense.noise.rho)
    return dense


def test_it_fits_the_seam() -> None:
    dense = layer(3, 2)
    assert isinstance(dense, BayesianDense)
    assert isinstance(dense.posterior(), Drawn)
    assert isinstance(GaussianDense(3, 2).posterior(), Drawn)


@both_samplings
def test_without_noise_it_is_a_layer_of_gaussian_weights(sampling: str) -> None:
    dense = layer(3, 2, by=0.0, initial_noise_std=1e-9)
    x = torch.randn(1, 5, 3).double()
    drawn = dense(x, 50_000, sampling).detach()
    expected = dense.gaussian(x, 50_000, sampling).detach()
    torch.testing.assert_close(drawn.mean(0), expected.mean(0), rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.std(0), expected.std(0), rtol=0.03, atol=0)
    torch.testing.assert_close(dense.kl_to_prior(), dense.gaussian.kl_to_prior(), rtol=0, atol=1e-6)


def test_with_gaussian_noise_the_bound_is_the_exact_divergence_to_the_prior() -> None:
    dense = match_reverse(layer(3, 4, steps=0, initial_noise_std=0.8, kl_samples=200_000))
    exact = exact_kl_to_prior(dense)
    assert abs(exact - dense.gaussian.kl_to_prior()) > 0.5, "the noise is large enough to count"
    torch.testing.assert_close(dense.kl_to_prior(), exact, rtol=0, atol=0.02)


def test_another_reverse_model_makes_the_bound_looser_and_never_less() -> None:
    dense = match_reverse(layer(3, 4, steps=0, initial_noise_std=0.8, kl_samples=200_000))
    exact = exact_kl_to_prior(dense)
    for change in (-1.0, 1.0):
        with torch.no_grad():
            dense.reverse_mean += change
        assert dense.kl_to_prior() > exact + 0.02
        with torch.no_grad():
            dense.reverse_mean -= change


def test_with_a_flow_the_bound_stays_above_the_divergence() -> None:
    # The density of two weights by averaging over very many z; its divergence to the prior by sampling.
    dense = layer(2, 1, by=0.6, initial_noise_std=0.5, initial_std=0.3, kl_samples=20_000)
    own = dense.gaussian.weights()
    with torch.no_grad():
        z = dense.noise.rsample(5000)[0]
        drawn = dense.noise.rsample(2000)[0] * own.weight_mean[:, 0]
        drawn = drawn + own.weight_std[:, 0] * torch.randn_like(drawn)
        conditional = Normal(z * own.weight_mean[:, 0], own.weight_std[:, 0])
        log_prob = torch.cat(
            [torch.logsumexp(conditional.log_prob(some[:, None]).sum(-1), 1) for some in drawn.split(200)]
        ) - torch.log(torch.tensor(5000.0))
        terms = log_prob - Normal(0.0, dense.gaussian.prior_std).log_prob(drawn).sum(-1)
        biases = kl_divergence(Normal(own.bias_mean, own.bias_std), Normal(0.0, dense.gaussian.prior_std)).sum()
        divergence, noise = terms.mean() + biases, terms.std() / 2000**0.5
        assert dense.kl_to_prior() > divergence - 4 * noise


def test_the_log_density_of_the_noise_is_that_of_its_draws() -> None:
    dense = layer(4, 2, by=0.5)
    z, log_prob = dense.noise.rsample(6, 3)
    assert z.shape == (6, 3, 4)
    torch.testing.assert_close(dense.noise.log_prob(z), log_prob)


def test_the_divergence_to_a_stored_posterior_is_that_of_weights_and_noise_together() -> None:
    dense = layer(3, 2, steps=0, initial_noise_std=0.3)
    stored, old, old_weights = dense.posterior(), layer(3, 2, steps=0, initial_noise_std=0.3), None
    assert dense.kl_to(stored).item() == 0
    moved(dense, 0.02)
    dense.kl_samples = 200_000
    own, was = dense.gaussian.weights(), old.gaussian.weights()
    mean, std = dense.noise.mean, softplus(dense.noise.rho)
    expected = kl_divergence(Normal(mean, std), Normal(old.noise.mean, softplus(old.noise.rho))).sum()
    expected += kl_divergence(Normal(own.bias_mean, own.bias_std), Normal(was.bias_mean, was.bias_std)).sum()
    still = kl_divergence(Normal(0.0, own.weight_std), Normal(0.0, was.weight_std)).sum()
    distance = ((own.weight_mean - was.weight_mean) / was.weight_std).square()
    expected += still + 0.5 * ((mean**2 + std**2)[:, None] * distance).sum()
    torch.testing.assert_close(dense.kl_to(stored), expected, rtol=0.02, atol=0)
    old_weights = weights_without_flow(old)
    marginal = sum(kl_divergence(new, old) for new, old in zip(weights_without_flow(dense), old_weights, strict=True))
    biases = kl_divergence(Normal(own.bias_mean, own.bias_std), Normal(was.bias_mean, was.bias_std)).sum()
    assert marginal + biases < expected, "the weights alone tell less than the weights and the noise"


def test_the_divergence_to_a_stored_posterior_is_never_negative() -> None:
    bayesian, _, _ = network(kl_samples=1)
    stored = bayesian.posterior()
    assert bayesian.kl_to(stored).item() == 0
    moved(bayesian, 0.01)
    assert min(bayesian.kl_to(stored).item() for _ in range(50)) > 0


def test_what_is_stored_does_not_move() -> None:
    dense = layer(3, 2)
    stored = dense.posterior()
    before = stored.noise.mean.clone()
    moved(dense, 0.5)
    assert torch.equal(stored.noise.mean, before)
    assert not any(parameter.requires_grad for parameter in stored.noise.parameters())


def test_the_second_moment_is_that_of_the_noise() -> None:
    dense = layer(3, 2, steps=0, initial_noise_std=0.4)
    expected = dense.noise.mean**2 + softplus(dense.noise.rho) ** 2
    torch.testing.assert_close(dense.posterior(200_000).second_moment, expected.detach(), rtol=0.01, atol=0)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def by_per_sample_gradients(bayesian: BayesianMLP, x: Tensor, y: Tensor, samples: int, sampling: str) -> Tensor:
    """½ λ² gᵀ H⁻¹ g, g by vmap(grad) in means and deviations, H the Hessian of E_z KL, with the noise that the network
    draws, in its order. λ is 0.02, the likelihood's deviation 0.6."""
    moments = [dense.posterior().second_moment for dense in bayesian.layers]
    local = sampling == "local"
    drawn = []
    for dense in bayesian.layers:
        fans = dense.gaussian.mean.shape[0] - 1, dense.gaussian.mean.shape[1]
        if local:
            scale = dense.noise.rsample(samples, len(x))[0].detach()
            drawn.append((scale, normal(samples, len(x), fans[1])))
        else:
            scale = dense.noise.rsample(samples)[0].detach()
            drawn.append((scale, normal(samples, *fans), normal(samples, fans[1])))
    layer_pass = scaled_local_reparametrization if local else scaled_shared_reparametrization
    parameters = [(dense.gaussian.mean.detach(), softplus(dense.gaussian.rho).detach()) for dense in bayesian.layers]

    def loss(parameters: list[tuple[Tensor, Tensor]], x: Tensor, y: Tensor, drawn: list[tuple[Tensor, ...]]) -> Tensor:
        hidden = x[None, None]
        for number, ((mean, std), noise) in enumerate(zip(parameters, drawn, strict=True)):
            hidden = bayesian.activation(hidden) if number else hidden
            scale, *noise = [each.unsqueeze(1) for each in noise] if local else noise
            hidden, _ = layer_pass(hidden, scale, mean[:-1], std[:-1], mean[-1], std[-1], *noise)
        return -Normal(hidden, 0.6, validate_args=False).log_prob(y).sum() / samples

    rows = [(1, 1) if local else (None, None, None) for _ in drawn]
    gradients = vmap(grad(loss), in_dims=(None, 0, 0, rows))(parameters, x, y, drawn)
    total = torch.zeros(len(x)).double()
    for (_, std), (of_mean, of_std), moment in zip(parameters, gradients, moments, strict=True):
        hessian = torch.cat([moment, moment.new_ones(1)])[:, None] / std**2
        total += (of_mean**2 / hessian).flatten(1).sum(1) + (of_std**2 * std**2 / 2).flatten(1).sum(1)
    return 0.5 * 0.02**2 * total


@both_samplings
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 6, 4, 2)])
def test_the_gain_is_that_of_per_sample_gradients(sampling: str, samples: int, sizes: tuple[int, ...]) -> None:
    bayesian, x, y = network(sizes)
    torch.manual_seed(3)
    gain = bayesian.information_gain(x, y, 0.6, 0.02, samples, sampling)
    torch.manual_seed(3)
    torch.testing.assert_close(gain, by_per_sample_gradients(bayesian, x, y, samples, sampling), rtol=1e-9, atol=0)


def test_a_network_whose_noise_is_one_gains_what_gaussian_weights_do() -> None:
    flow, x, y = network(by=0.0, initial_noise_std=1e-9)
    plain = BayesianMLP([3, 6, 2], nn.Tanh).double()
    for layer_of_plain, dense in zip(plain.layers, flow.layers, strict=True):
        layer_of_plain.load_state_dict(dense.gaussian.state_dict())
    x, y = x[:1].expand(40_000, -1), y[:1].expand(40_000, -1)
    ours, expected = flow.information_gain(x, y, 0.6), plain.information_gain(x, y, 0.6)
    assert ours.mean().item() == pytest.approx(expected.mean().item(), rel=0.05)


def test_compression_has_no_closed_form_and_says_so() -> None:
    bayesian, x, y = network()
    with pytest.raises(InputError, match="compression gain"):
        bayesian.information_gain(x, y, 0.5, gain="compression")


@both_samplings
def test_learning_from_a_row_gains_something_for_every_row(sampling: str) -> None:
    bayesian, x, y = network()
    before = [parameter.clone() for parameter in bayesian.parameters()]
    gain = first_order_gain(bayesian, x, y, 0.5, updates=3, sampling=sampling)
    assert gain.shape == (5,)
    assert (gain > 0).all()
    assert gain.isfinite().all()
    assert all(torch.equal(old, new) for old, new in zip(before, bayesian.parameters(), strict=True))


@both_samplings
def test_the_gradient_is_set_by_autograd(sampling: str) -> None:
    bayesian, x, y = network()
    spread = LikelihoodStd(2, 0.6).double()
    parameters = [*bayesian.parameters(), *spread.parameters()]
    torch.manual_seed(1)
    loss = bayesian.negative_elbo(x, y, 40, 2, spread(), sampling)
    expected = torch.autograd.grad(loss, parameters)
    for _ in range(2):  # written over the one before
        torch.manual_seed(1)
        spread.zero_grad()
        value = bayesian.set_gradient(x, y, 40, 2, spread(), sampling)
    assert not value.requires_grad
    torch.testing.assert_close(value, loss.detach())
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_it_learns_what_it_has_seen_and_gains_less_from_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 2)
    y = x @ torch.tensor([[1.0], [-1.0]])
    bayesian = BayesianMLP([2, 16, 1], initial_std=0.1, dense=FlowDense)
    optimizer = torch.optim.Adam(bayesian.parameters(), 0.02)
    first = bayesian.set_gradient(x, y, len(x), 1, 0.5)
    before = bayesian.information_gain(x, y, 0.5).mean()
    for _ in range(100):
        last = bayesian.set_gradient(x, y, len(x), 1, 0.5)
        optimizer.step()
    assert last < first - 0.5
    known = bayesian.information_gain(x, y, 0.5).mean()
    assert known < 0.2 * before
    assert bayesian.information_gain(4 + x, -y, 0.5).mean() > 10 * known


def test_correlated_weights_bring_the_bound_close_to_the_evidence() -> None:
    # Linear regression on two inputs that go together: evidence and posterior are known, and so is the best bound of
    # independent Gaussian weights, whose posterior has the diagonal of the precision.
    torch.manual_seed(0)
    count, noise, prior_std = 20, 0.5, 0.7
    x = torch.randn(count, 1) + 0.3 * torch.randn(count, 2)
    y = x @ torch.tensor([[0.8], [0.6]]) + noise * torch.randn(count, 1)
    with_one = torch.cat([x, torch.ones(count, 1)], 1).double()
    covariance = noise**2 * torch.eye(count).double() + prior_std**2 * with_one @ with_one.T
    evidence = MultivariateNormal(torch.zeros(count).double(), covariance).log_prob(y[:, 0].double()).item()
    precision = torch.eye(3).double() / prior_std**2 + with_one.T @ with_one / noise**2
    independent = evidence - 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision)).item()

    dense = partial(FlowDense, steps=2, hidden=(16,), initial_noise_std=0.3)
    bayesian = BayesianMLP([2, 1], prior_std=prior_std, initial_std=0.1, dense=dense)
    optimizer = torch.optim.Adam(bayesian.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        bayesian.set_gradient(x, y, count, 16, noise, "shared")
        optimizer.step()
        schedule.step()
    bayesian.layers[0].kl_samples = 20_000
    with torch.no_grad():
        bound = -count * bayesian.negative_elbo(x, y, count, 20_000, noise, "shared").item()
    assert independent + 0.5 < bound < evidence + 0.05


def test_the_same_seed_draws_the_same_and_a_saved_layer_is_the_same() -> None:
    one, other = layer(3, 2), FlowDense(3, 2).double()
    other.load_state_dict(one.state_dict())
    x = torch.randn(1, 4, 3).double()
    drawn = []
    for dense in (one, other):
        torch.manual_seed(3)
        drawn.append((dense(x, 2, "local"), dense.kl_to_prior()))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])


@pytest.mark.parametrize("settings", [{"steps": -1}, {"kl_samples": 0}, {"initial_noise_std": 0.0}, {"prior_std": 0.0}])
def test_impossible_layers_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match="positive"):
        FlowDense(3, 2, **settings)
