"""Information gain through the network: per-sample gradients, memory, and gain by actually learning."""

from itertools import pairwise

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import grad, vmap
from torch.nn.functional import softplus

from rlgen.equations.reparametrization import local_reparametrization, shared_reparametrization
from rlgen.errors import InputError
from rlgen.nn import BayesianMLP
from rlgen.nn.first_order_gain import first_order_gain

STD = 0.6
both_samplings = pytest.mark.parametrize("sampling", ["local", "shared"])
every_depth = pytest.mark.parametrize("sizes", [(3, 2), (3, 8, 2), (3, 8, 5, 2)])


def world(sizes: tuple[int, ...] = (3, 8, 2), count: int = 7, **settings) -> tuple[BayesianMLP, Tensor, Tensor]:
    """A network whose deviations differ, inputs and targets, all float64."""
    torch.manual_seed(0)
    bayesian = BayesianMLP(sizes, **settings).double()
    with torch.no_grad():
        for parameter in bayesian.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return bayesian, torch.randn(count, sizes[0]).double(), torch.randn(count, sizes[-1]).double()


def by_per_sample_gradients(
    bayesian: BayesianMLP, x: Tensor, y: Tensor, std: Tensor, step_size: float, samples: int, sampling: str
) -> Tensor:
    """½ λ² gᵀ H⁻¹ g, g by vmap(grad) in the module's parameters, with the noise that it draws layer by layer."""
    sizes = [x.shape[1]] + [layer.mean.shape[1] for layer in bayesian.layers]
    local = sampling == "local"
    noise = [
        (torch.randn(samples, len(x), j, dtype=torch.float64),)
        if local
        else (torch.randn(samples, i, j, dtype=torch.float64), torch.randn(samples, j, dtype=torch.float64))
        for i, j in pairwise(sizes)
    ]
    parameters = [dict(layer.named_parameters()) for layer in bayesian.layers]
    layer_pass = local_reparametrization if local else shared_reparametrization

    def loss(parameters: list[dict[str, Tensor]], x: Tensor, y: Tensor, noise: list[tuple[Tensor, ...]]) -> Tensor:
        hidden = x[None, None]
        for number, (layer, drawn) in enumerate(zip(parameters, noise, strict=True)):
            hidden = bayesian.activation(hidden) if number else hidden
            mean, deviation = layer["mean"], softplus(layer["rho"])
            weights, biases = (mean[:-1], deviation[:-1]), (mean[-1], deviation[-1])
            drawn = (drawn[0].unsqueeze(1),) if local else drawn
            hidden, _ = layer_pass(hidden, *weights, *biases, *drawn)
        return -Normal(hidden, std, validate_args=False).log_prob(y).sum() / samples

    rows = [(1,) if local else (None, None) for _ in noise]
    gradients = vmap(grad(loss), in_dims=(None, 0, 0, rows))(parameters, x, y, noise)
    total = torch.zeros(len(x), dtype=torch.float64)
    for layer, found in zip(parameters, gradients, strict=True):
        var, slope = softplus(layer["rho"]) ** 2, torch.sigmoid(layer["rho"])
        total += (found["mean"] ** 2 * var).flatten(1).sum(1)
        total += (found["rho"] ** 2 * var / (2 * slope**2)).flatten(1).sum(1)
    return 0.5 * step_size**2 * total.detach()


@both_samplings
@every_depth
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_the_gain_is_that_of_per_sample_gradients(sampling, sizes, samples, activation) -> None:
    bayesian, x, y = world(sizes, activation=activation)
    std = torch.tensor([0.6, 1.3], dtype=torch.float64)
    torch.manual_seed(3)
    gain = bayesian.information_gain(x, y, std, 0.02, samples, sampling)
    torch.manual_seed(3)
    expected = by_per_sample_gradients(bayesian, x, y, std, 0.02, samples, sampling)
    torch.testing.assert_close(gain, expected, rtol=1e-12, atol=0)


def test_shared_weights_stay_the_same_from_chunk_to_chunk() -> None:
    bayesian, x, y = world()
    torch.manual_seed(3)
    whole = bayesian.information_gain(x, y, STD, samples=3, sampling="shared")
    torch.manual_seed(3)
    chunks = bayesian.information_gain(x, y, STD, samples=3, sampling="shared", chunk=6)
    torch.testing.assert_close(chunks, whole)


def test_local_chunks_have_the_gain_of_the_whole_on_average() -> None:
    bayesian, x, y = world(count=1)
    x, y = x.expand(20_000, -1), y.expand(20_000, -1)
    whole, chunks = bayesian.information_gain(x, y, STD), bayesian.information_gain(x, y, STD, chunk=900)
    assert chunks.shape == whole.shape
    assert chunks.mean().item() == pytest.approx(whole.mean().item(), rel=0.1)


@both_samplings
def test_the_gain_leaves_neither_a_graph_nor_gradients(sampling: str) -> None:
    bayesian, x, y = world()
    x.requires_grad_()
    spread = torch.tensor(STD, dtype=torch.float64, requires_grad=True)
    gain = bayesian.information_gain(x, y, spread, sampling=sampling)
    assert not gain.requires_grad
    assert [tensor.grad for tensor in (*bayesian.parameters(), x, spread)] == [None] * 6


def test_no_tensor_is_as_large_as_the_gradients_of_all_rows() -> None:
    sizes, count = (40, 30, 50), 200
    bayesian, x, y = world(sizes, count)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            largest = max([largest, *(each.numel() for each in (out,) if isinstance(each, Tensor))])
            return out

    with Watch():
        bayesian.information_gain(x, y, STD)
    assert largest <= count * max(sizes), "activations; gradients of one layer would be 300,000 numbers"


def test_more_samples_bring_the_gain_down_to_that_of_the_expected_gradient() -> None:
    bayesian, x, y = world(count=1)
    x, y = x.expand(2000, -1), y.expand(2000, -1)
    one, four, sixteen = (bayesian.information_gain(x, y, STD, samples=n).mean().item() for n in (1, 4, 16))
    limit = (16 * sixteen - 4 * four) / 12  # the mean is limit + share/S
    assert one > four > sixteen > limit > 0
    assert one - limit == pytest.approx(4 * (four - limit), rel=0.3)


def test_what_the_network_knows_gains_less_than_what_it_does_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 2)
    y = x @ torch.tensor([[1.0], [-1.0]])
    bayesian = BayesianMLP([2, 16, 1], initial_std=0.1)
    before = bayesian.information_gain(x, y, 0.5).mean()
    optimizer = torch.optim.Adam(bayesian.parameters(), 0.02)
    for _ in range(200):
        optimizer.zero_grad()
        bayesian.negative_elbo(x, y, len(x), 1, 0.5).backward()
        optimizer.step()
    known = bayesian.information_gain(x, y, 0.5).mean()
    unknown = bayesian.information_gain(4 + x, -y, 0.5).mean()
    assert known < 0.2 * before
    assert unknown > 10 * known


def test_an_unknown_sampling_is_refused() -> None:
    bayesian, _, _ = world()
    with pytest.raises((InputError, TypeCheckError), match="local"):  # under pytest the annotation comes first
        bayesian.posterior()[0].draw(1, "flipout")


@both_samplings
def test_learning_from_a_row_gains_what_the_posterior_moved(sampling: str) -> None:
    # One step of Adam moves every number by its learning rate, whatever the gradient.
    bayesian, x, y = world(count=3, activation=nn.SiLU)
    rate = 1e-4
    gain = first_order_gain(bayesian, x, y, STD, updates=1, learning_rate=rate, sampling=sampling)
    moved_by_rate = torch.zeros((), dtype=torch.float64)
    for layer in bayesian.layers:
        rho = layer.rho
        moved_by_rate += (0.5 * rate**2 * (1 + 2 * torch.sigmoid(rho) ** 2) / softplus(rho) ** 2).sum()
    torch.testing.assert_close(gain, moved_by_rate.detach().expand(3), rtol=0.01, atol=0)


def test_learning_from_rows_leaves_the_network_as_it_is_and_rows_apart() -> None:
    bayesian, x, y = world((3, 2), count=4, initial_std=1e-6)
    before = [parameter.clone() for parameter in bayesian.parameters()]
    together = first_order_gain(bayesian, x, y, STD, updates=3, learning_rate=1e-7)
    alone = torch.cat([first_order_gain(bayesian, x[i : i + 1], y[i : i + 1], STD, 3, 1e-7) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-2, atol=0)
    assert all(torch.equal(old, new) for old, new in zip(before, bayesian.parameters(), strict=True))


def test_the_excess_of_few_weight_samples_falls_in_inverse_proportion_to_their_number() -> None:
    bayesian, x, y = world(count=1)
    x, y = x.expand(50_000, -1), y.expand(50_000, -1)
    one, two, four = (float(bayesian.information_gain(x, y, STD, samples=samples).mean()) for samples in (1, 2, 4))
    assert (one - two) / (two - four) == pytest.approx(2, rel=0.2)
    assert one > 1.1 * (2 * four - two)
