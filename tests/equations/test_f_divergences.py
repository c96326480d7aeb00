"""f-divergences against quadrature, numerical suprema, finite differences, SciPy's Lambert W and the printed tables."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence

from rlgen.equations.f_divergences import (
    F_DIVERGENCES,
    STEEPEST,
    FDivergence,
    jeffreys_conjugate,
    jeffreys_log_ratio,
    limited,
    limited_below,
    pearson_conjugate,
)

torch_double = torch.float64
LINE = torch.linspace(-12, 12, 12_001, dtype=torch_double)
each = pytest.mark.parametrize("divergence", F_DIVERGENCES.values(), ids=list(F_DIVERGENCES))
each_name = pytest.mark.parametrize("name", F_DIVERGENCES)


def normal(mean: float, std: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch_double), torch.tensor(std, dtype=torch_double))


def mixture() -> MixtureSameFamily:
    means = torch.tensor([-1.0, 1.5], dtype=torch_double)
    stds = torch.tensor([0.9, 1.2], dtype=torch_double)
    return MixtureSameFamily(Categorical(torch.tensor([0.4, 0.6], dtype=torch_double)), Normal(means, stds))


PAIRS = {"gaussians": (normal(0.4, 1.0), normal(-0.2, 1.1)), "mixture and gaussian": (mixture(), normal(0.3, 1.4))}
each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))

INTEGRALS = {  # of densities p, q, without f
    "kl": lambda p, q: p * (p / q).log(),
    "reverse_kl": lambda p, q: q * (q / p).log(),
    "pearson": lambda p, q: (p - q).square() / q,
    "neyman": lambda p, q: (p - q).square() / p,
    "squared_hellinger": lambda p, q: (p.sqrt() - q.sqrt()).square(),
    "jensen_shannon": lambda p, q: p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log(),
    "jeffreys": lambda p, q: (p - q) * (p / q).log(),
}

# Nowozin et al. 2016, tables 2 and 6: activation of v, conjugate of t, f'(1). W is Lambert's.
PRINTED = {
    "kl": (lambda v: v, lambda t: (t - 1).exp(), 1.0),
    "reverse_kl": (lambda v: -(-v).exp(), lambda t: -1 - (-t).log(), -1.0),
    "pearson": (lambda v: v, lambda t: 0.25 * t**2 + t, 0.0),
    "neyman": (lambda v: 1 - (-v).exp(), lambda t: 2 - 2 * (1 - t).sqrt(), 0.0),
    "squared_hellinger": (lambda v: 1 - (-v).exp(), lambda t: t / (1 - t), 0.0),
    "jensen_shannon": (lambda v: math.log(2) - (1 + (-v).exp()).log(), lambda t: -(2 - t.exp()).log(), 0.0),
    "jeffreys": (lambda v: v, lambda t: lambert(t) + 1 / lambert(t) + t - 2, 0.0),
}


def lambert(t: Tensor) -> Tensor:
    """W(e^(1 - t)) by SciPy."""
    special = pytest.importorskip("scipy.special")
    return torch.as_tensor(special.lambertw((1 - t).exp().numpy()).real)


def optimal_logit(divergence: FDivergence, log_ratio: Tensor) -> Tensor:
    """The logit whose T is f'(p / q), found from f and the activation alone, by bisection."""
    ratio = log_ratio.exp().requires_grad_()
    (slope,) = torch.autograd.grad(divergence.f(ratio).sum(), ratio)
    low, high = torch.full_like(log_ratio, -1e7), torch.full_like(log_ratio, 1e7)
    for _ in range(90):
        middle = (low + high) / 2
        below = divergence.activation(middle) < slope
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def integral(values: Tensor) -> float:
    return float(torch.trapezoid(values, LINE))


@each_name
def test_activation_conjugate_and_threshold_are_the_printed_ones(name: str) -> None:
    divergence, (activation, conjugate, slope_at_one) = F_DIVERGENCES[name], PRINTED[name]
    v = torch.linspace(-1.9, 6, 80, dtype=torch_double)
    shifted = v - 1 if name == "kl" else v  # activation v + 1 instead of v
    torch.testing.assert_close(divergence.activation(shifted), activation(v))
    t = divergence.activation(shifted)
    torch.testing.assert_close(divergence.conjugate(t), conjugate(t))
    assert float(divergence.activation(torch.zeros(1))) == pytest.approx(slope_at_one)


@each
def test_the_conjugate_is_the_largest_u_t_minus_f(divergence: FDivergence) -> None:
    t = divergence.activation(torch.linspace(-3, 3, 25, dtype=torch_double))
    u = torch.linspace(-16, 16, 100_001, dtype=torch_double).exp()
    f = divergence.f(u)
    largest = torch.stack([(u * each - f).max() for each in t])
    torch.testing.assert_close(divergence.conjugate(t), largest, rtol=1e-6, atol=1e-6)


@each
def test_f_is_convex_and_zero_at_one(divergence: FDivergence) -> None:
    u = torch.linspace(0.02, 8, 500, dtype=torch_double)
    assert (divergence.f(u).diff().diff() > 0).all()
    assert float(divergence.f(torch.ones(1))) == 0


@each
def test_the_logit_zero_is_a_ratio_of_one(divergence: FDivergence) -> None:
    one = torch.ones(1, dtype=torch_double, requires_grad=True)
    (slope,) = torch.autograd.grad(divergence.f(one).sum(), one)
    torch.testing.assert_close(divergence.activation(torch.zeros(1, dtype=torch_double)), slope)
    torch.testing.assert_close(divergence.log_ratio(torch.zeros(1)), torch.zeros(1))


@each
def test_the_reward_is_the_conjugate_of_the_activation(divergence: FDivergence) -> None:
    v = torch.linspace(-100, 16, 233, dtype=torch_double)  # above, 1 - T of some is too small even for double precision
    expected = divergence.conjugate(divergence.activation(v))
    torch.testing.assert_close(divergence.reward(v), expected, rtol=1e-6, atol=1e-8)


@each
def test_at_the_optimum_the_log_ratio_comes_back(divergence: FDivergence) -> None:
    log_ratio = torch.linspace(-5, 5, 41, dtype=torch_double)
    found = divergence.log_ratio(optimal_logit(divergence, log_ratio))
    torch.testing.assert_close(found, log_ratio, rtol=1e-6, atol=1e-6)
    known = divergence.optimal_logit(log_ratio)
    torch.testing.assert_close(known, optimal_logit(divergence, log_ratio), rtol=1e-6, atol=1e-6)


@each_pair
@each_name
def test_the_bound_at_the_optimum_is_the_integral_of_the_divergence(name: str, pair) -> None:
    divergence, (p, q) = F_DIVERGENCES[name], pair
    log_p, log_q = p.log_prob(LINE), q.log_prob(LINE)
    logit = optimal_logit(divergence, log_p - log_q)
    bound = integral(log_p.exp() * divergence.activation(logit)) - integral(log_q.exp() * divergence.reward(logit))
    expected = integral(INTEGRALS[name](log_p.exp(), log_q.exp()))
    assert expected > 0.01
    assert bound == pytest.approx(expected, rel=1e-3)
    assert integral(log_q.exp() * divergence.f((log_p - log_q).exp())) == pytest.approx(expected, rel=1e-3)


@each_pair
@each
def test_any_other_logit_gives_a_smaller_bound(divergence: FDivergence, pair) -> None:
    p, q = pair
    log_p, log_q = p.log_prob(LINE), q.log_prob(LINE)

    def bound(logit: Tensor) -> float:
        return integral(log_p.exp() * divergence.activation(logit)) - integral(log_q.exp() * divergence.reward(logit))

    logit = optimal_logit(divergence, log_p - log_q)
    assert all(bound(other) < bound(logit) for other in (logit + 0.1, logit - 0.1, 0.9 * logit, logit + LINE.sin() / 9))


def test_the_kl_game_reaches_the_divergence_of_torch_distributions() -> None:
    p, q = PAIRS["gaussians"]
    slices = (torch.arange(20_000, dtype=torch_double) + 0.5) / 20_000
    rows = (p.icdf(slices), q.icdf(slices))
    forward, backward = (
        -F_DIVERGENCES[name].discriminator_loss(*(p.log_prob(x) - q.log_prob(x) for x in rows))
        for name in ("kl", "reverse_kl")
    )
    assert float(forward) == pytest.approx(float(kl_divergence(p, q)), rel=1e-3)
    assert float(backward) == pytest.approx(float(kl_divergence(q, p)), rel=1e-3)


@each
def test_the_reward_at_the_optimum_is_minus_the_derivative_by_the_policys_density(divergence: FDivergence) -> None:
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch_double)
    q = torch.tensor([0.3, 0.3, 0.2, 0.2], dtype=torch_double, requires_grad=True)
    (derivative,) = torch.autograd.grad((q * divergence.f(p / q)).sum(), q)
    reward = divergence.reward(optimal_logit(divergence, (p / q).log().detach()))
    torch.testing.assert_close(reward, -derivative, rtol=1e-6, atol=1e-8)


@each
def test_reward_and_activation_rise_with_the_logit(divergence: FDivergence) -> None:
    v = torch.linspace(-1.99, 30, 200, dtype=torch_double)  # below -2 that of Pearson is flat
    assert (divergence.reward(v).diff() > 0).all()
    v = torch.linspace(-30, 30, 400, dtype=torch_double)
    assert (divergence.reward(v).diff() >= 0).all()
    assert (divergence.activation(v).diff() > -1e-12).all()


@each
@pytest.mark.parametrize("size", [20.0, 60.0, 100.0, 1e4])
def test_large_logits_have_finite_losses_and_gradients_in_single_precision(
    divergence: FDivergence, size: float
) -> None:
    logit = torch.tensor([-size, size, 0.0], requires_grad=True)
    loss = divergence.discriminator_loss(logit, logit)
    (gradient,) = torch.autograd.grad(loss, logit)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.square().sum().isfinite()
    assert divergence.log_ratio(logit).isfinite().all()


@each
def test_a_mistaken_row_is_put_right_however_sure_the_discriminator_is(divergence: FDivergence) -> None:
    real, fake = torch.tensor([-100.0], requires_grad=True), torch.tensor([100.0], requires_grad=True)
    of_real, of_fake = torch.autograd.grad(divergence.discriminator_loss(real, fake), (real, fake))
    assert of_real < 0
    assert of_fake > 0


@each
def test_gradients_of_the_loss_are_finite_differences(divergence: FDivergence) -> None:
    logit = torch.linspace(-1.7, 3, 9, dtype=torch_double, requires_grad=True)
    assert torch.autograd.gradcheck(divergence.discriminator_loss, (logit, logit.detach().flip(0).requires_grad_()))
    assert torch.autograd.gradgradcheck(lambda v: divergence.reward(v), (logit,))


def test_the_exponential_goes_on_along_its_tangent() -> None:
    x = torch.tensor([-200.0, -3.0, 0.0, 5.0, STEEPEST], dtype=torch_double)
    assert torch.equal(limited(x), x)
    beyond = torch.tensor([STEEPEST + 3], dtype=torch_double, requires_grad=True)
    torch.testing.assert_close(limited(beyond).exp(), torch.full_like(beyond, 4 * math.exp(STEEPEST)))
    (slope,) = torch.autograd.grad(limited(beyond).exp().sum(), beyond)
    torch.testing.assert_close(slope, torch.full_like(beyond, math.exp(STEEPEST)))
    assert torch.equal(limited_below(-beyond), -limited(beyond))


def test_jeffreys_log_ratio_solves_its_equation_and_is_lamberts() -> None:
    t = torch.cat([torch.linspace(-30, 30, 121, dtype=torch_double), torch.tensor([-1e6, 1e6], dtype=torch_double)])
    z = jeffreys_log_ratio(t)
    torch.testing.assert_close(1 + z - (-z).exp(), t)
    torch.testing.assert_close(-z[:121], lambert(t[:121]).log(), rtol=1e-6, atol=1e-8)


def test_pearsons_conjugate_stays_where_no_ratio_is_below_zero() -> None:
    t = torch.tensor([-50.0, -3.0, -2.0, 0.0, 4.0])
    assert pearson_conjugate(t).tolist() == [-1, -1, -1, 0, 8]
    printed = 0.25 * t[:2].square() + t[:2]
    assert (printed > -1).all(), "there the printed conjugate is not the supremum over ratios, which is -1 at u = 0"


def test_jeffreys_conjugate_of_zero_is_zero() -> None:
    assert float(jeffreys_conjugate(torch.zeros(1))) == pytest.approx(0, abs=1e-6)
