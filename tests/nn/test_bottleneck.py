"""The variational bottleneck: noise in training, the mean in evaluation, a price that holds the information down."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.equations.divergences import logistic_discriminator_loss
from rlgen.errors import InputError
from rlgen.nn import Bottleneck, mlp
from rlgen.nn.bottleneck import GaussianBottleneck


@pytest.fixture
def code() -> GaussianBottleneck:
    torch.manual_seed(0)
    return GaussianBottleneck(4, 3)


def test_in_training_it_samples_the_distribution_and_in_evaluation_gives_its_mean(code: GaussianBottleneck) -> None:
    features = torch.randn(1, 4)
    mean, log_std = (part.detach() for part in code.mean_and_log_std(features))
    samples = code(features.expand(100_000, 4)).detach()
    torch.testing.assert_close(samples.mean(0), mean[0], atol=0.015, rtol=0)
    torch.testing.assert_close(samples.std(0), log_std[0].exp(), atol=0.015, rtol=0)
    code.eval()
    torch.testing.assert_close(code(features), mean)


def test_the_nats_are_those_of_torch_distributions(code: GaussianBottleneck) -> None:
    features = torch.randn(6, 4)
    mean, raw = code.head(features).chunk(2, -1)
    std = torch.nn.functional.softplus(raw) + 1e-4
    torch.testing.assert_close(code.kl(features), kl_divergence(Normal(mean, std), Normal(0.0, 1.0)))


def test_a_code_that_is_all_but_certain_costs_finitely_many_nats(code: GaussianBottleneck) -> None:
    with torch.no_grad():
        code.head.bias[3:] = -200.0
    nats = code.kl(torch.randn(6, 4))
    (gradient,) = torch.autograd.grad(nats.sum(), code.head.bias)
    assert (nats > 8).all()  # log(1 / 1e-4) - 1/2 at least
    assert nats.isfinite().all()
    assert gradient.isfinite().all()


def test_in_half_precision_the_nats_are_computed_in_full(code: GaussianBottleneck) -> None:
    features = torch.randn(6, 4)
    with torch.autocast("cpu", torch.bfloat16):
        sample, nats = code(features), code.kl(features)
    assert sample.dtype == nats.dtype == torch.float32
    torch.testing.assert_close(nats, code.kl(features), atol=0.02, rtol=0.02)


def test_a_discriminator_in_double_precision_has_its_code_in_it() -> None:
    penalty = Bottleneck(latent=3, initial_beta=1.0)
    network = penalty.wrap(mlp([4, 8, 1]).double())
    real, fake = torch.randn(2, 10, 4, dtype=torch.float64)
    assert network(real).dtype == torch.float64
    assert penalty.loss(network, real, fake, real[:, 0], fake[:, 0]).dtype == torch.float64


def test_the_penalty_is_the_price_of_the_nats_above_the_limit_over_both_sides() -> None:
    torch.manual_seed(0)
    penalty = Bottleneck(latent=3, limit=0.2, step_size=0.1, initial_beta=2.0)
    network = mlp([4, 8, 1])
    wrapped = penalty.wrap(network)
    code = next(part for part in wrapped if isinstance(part, GaussianBottleneck))
    real, fake = torch.randn(2, 10, 4)
    nats = 0.5 * sum(code.kl(network[:-1](side)).sum(-1).mean() for side in (real, fake))
    loss = penalty.loss(wrapped, real, fake, real[:, 0], fake[:, 0])
    torch.testing.assert_close(loss, 2.0 * (nats - 0.2))
    torch.testing.assert_close(code.beta, 2.0 + 0.1 * (nats.detach() - 0.2))
    loss.backward()
    assert code.head.weight.grad is not None
    report = penalty.report()
    torch.testing.assert_close(report["bottleneck_kl"], nats.detach())
    assert torch.equal(report["bottleneck_beta"], code.beta)


def test_the_price_holds_the_information_at_the_limit() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(200, 2) + 2, torch.randn(200, 2) - 2
    nats = {}
    for limit in (0.3, 1e6):
        penalty = Bottleneck(latent=2, limit=limit, step_size=0.05)
        network = penalty.wrap(mlp([2, 16, 1]))
        optimizer = torch.optim.Adam(network.parameters(), 2e-2, fused=True)
        for _ in range(300):
            real_logit, fake_logit = network(real).squeeze(-1), network(fake).squeeze(-1)
            loss = logistic_discriminator_loss(real_logit, fake_logit)
            optimizer.zero_grad()
            (loss + penalty.loss(network, real, fake, real_logit, fake_logit)).backward()
            optimizer.step()
        nats[limit] = float(penalty.report()["bottleneck_kl"])
    assert nats[0.3] == pytest.approx(0.3, abs=0.1)
    assert nats[1e6] > 1


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"limit": -1.0}, {"step_size": 0.0}, {"initial_beta": -1.0}])
def test_settings_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Bottleneck(**wrong)


def test_one_bottleneck_serves_one_discriminator() -> None:
    penalty = Bottleneck()
    penalty.wrap(mlp([3, 8, 1]))
    with pytest.raises(InputError, match="a separate"):
        penalty.wrap(mlp([3, 8, 1]))
