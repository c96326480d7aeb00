"""Divergences against quadrature, torch.distributions, autograd and the sigmoid written out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from rlgen.equations.divergences import (
    DIVERGENCES,
    GENERATOR_DIVERGENCES,
    Divergence,
    bounded_reward,
    clipped_least_squares_reward,
    forward_kl_reward,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_log_ratio,
    least_squares_optimal_logit,
    least_squares_reward,
    log_d,
    log_ratio_reward,
    logistic_discriminator_loss,
    middle,
    neg_log_one_minus_d,
    smoothed_discriminator_loss,
    variational,
    wasserstein_discriminator_loss,
)
from rlgen.equations.f_divergences import F_DIVERGENCES

EXPERT = Normal(torch.tensor(1.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
POLICY = Normal(torch.tensor(-0.5, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))


def nodes(distribution: Normal, count: int = 20_000) -> Tensor:
    """Midpoints of equally probable slices [count]: their plain mean is an integral over the distribution."""
    return distribution.icdf((torch.arange(count, dtype=torch.float64) + 0.5) / count)


def log_ratio(x: Tensor) -> Tensor:
    """log(p_expert / p_policy)."""
    return EXPERT.log_prob(x) - POLICY.log_prob(x)


WIDE = Normal(torch.tensor(0.0, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64))


def wide_log_ratio(x: Tensor) -> Tensor:
    """log(p_expert / p_wide)."""
    return EXPERT.log_prob(x) - WIDE.log_prob(x)


def jensen_shannon() -> float:
    """JS(expert, policy) in nats by the trapezoidal rule on the line, without any discriminator."""
    x = torch.linspace(-15, 15, 40_001, dtype=torch.float64)
    p, q = EXPERT.log_prob(x), POLICY.log_prob(x)
    middle = torch.logaddexp(p, q) - math.log(2)
    return float(torch.trapezoid(0.5 * (p.exp() * (p - middle) + q.exp() * (q - middle)), x))


def test_the_loss_is_binary_cross_entropy_of_expert_one_and_policy_zero() -> None:
    expert, policy = torch.randn(7), torch.randn(5)
    as_labels = F.binary_cross_entropy_with_logits(expert, torch.ones(7)) + F.binary_cross_entropy_with_logits(
        policy, torch.zeros(5)
    )
    written_out = -torch.sigmoid(expert).log().mean() - (1 - torch.sigmoid(policy)).log().mean()
    torch.testing.assert_close(logistic_discriminator_loss(expert, policy), as_labels)
    torch.testing.assert_close(logistic_discriminator_loss(expert, policy), written_out)


def test_the_least_loss_is_two_log_two_minus_two_jensen_shannon() -> None:
    least = logistic_discriminator_loss(log_ratio(nodes(EXPERT)), log_ratio(nodes(POLICY)))
    assert float(least) == pytest.approx(2 * math.log(2) - 2 * jensen_shannon(), rel=1e-4)


def test_the_loss_of_equal_distributions_is_two_log_two() -> None:
    assert float(logistic_discriminator_loss(torch.zeros(3), torch.zeros(4))) == pytest.approx(2 * math.log(2))


def test_the_best_quadratic_logit_of_two_gaussians_is_their_log_ratio() -> None:
    def features(x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x.square()], -1)

    expert, policy = features(nodes(EXPERT, 4000)), features(nodes(POLICY, 4000))
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = logistic_discriminator_loss(expert @ weights, policy @ weights)
        loss.backward()
        return loss

    optimizer.step(closure)
    x = torch.linspace(-2, 3, 11, dtype=torch.float64)
    torch.testing.assert_close(features(x) @ weights.detach(), log_ratio(x), rtol=0, atol=0.02)


def test_the_loss_rises_on_either_side_of_the_log_ratio() -> None:
    expert, policy = log_ratio(nodes(EXPERT)), log_ratio(nodes(POLICY))
    least = logistic_discriminator_loss(expert, policy)
    assert logistic_discriminator_loss(1.1 * expert, 1.1 * policy) > least
    assert logistic_discriminator_loss(0.9 * expert, 0.9 * policy) > least


@given(st.floats(-15, 15))
def test_rewards_are_logarithms_of_d(number: float) -> None:
    logit = torch.tensor([number], dtype=torch.float64)
    prob = torch.sigmoid(logit)
    torch.testing.assert_close(neg_log_one_minus_d(logit), -(1 - prob).log(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(log_d(logit), prob.log(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(log_ratio_reward(logit), prob.log() - (1 - prob).log(), rtol=1e-6, atol=1e-6)


def test_rewards_of_extreme_logits_are_finite_and_of_the_promised_sign() -> None:
    logit = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4])
    assert (neg_log_one_minus_d(logit) >= 0).all()
    assert (log_d(logit) <= 0).all()
    for divergence in DIVERGENCES.values():
        assert divergence.reward(logit).isfinite().all()


def test_at_d_one_half_survival_pays_log_two_and_the_log_ratio_nothing() -> None:
    zero = torch.zeros(1)
    assert float(neg_log_one_minus_d(zero)) == pytest.approx(math.log(2))
    assert float(log_d(zero)) == pytest.approx(-math.log(2))
    assert float(log_ratio_reward(zero)) == 0


# Where the logits of an optimal discriminator lie, if not on the whole line: only there rewards must rise.
ATTAINABLE = {"least_squares": (-1.0, 1.0), "amp": (-1.0, 1.0), "f_pearson": (-2.0, 8.0), "fairl": (-8.0, -1.0)}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_reward_rises_with_the_logit(name: str) -> None:
    logit = torch.linspace(*ATTAINABLE.get(name, (-8.0, 8.0)), 33)
    assert (DIVERGENCES[name].reward(logit).diff() > 0).all()


def test_fairl_pays_most_where_the_policy_is_e_times_as_likely_as_the_expert() -> None:
    logit = torch.linspace(-8, 4, 1201, dtype=torch.float64)
    reward = DIVERGENCES["fairl"].reward(logit)
    assert float(logit[reward.argmax()]) == pytest.approx(-1, abs=1e-6)
    assert float(reward.max()) == pytest.approx(1 / math.e)
    assert (reward[logit > -1].diff() < 0).all()
    assert (reward[logit < -0.001] > 0).all()
    assert (reward[logit > 0.001] < 0).all()
    torch.testing.assert_close(reward, -logit * logit.exp())


def test_the_mean_fairl_reward_of_the_policy_is_minus_the_forward_kl() -> None:
    reward = forward_kl_reward(wide_log_ratio(nodes(WIDE))).mean()
    assert float(reward) == pytest.approx(-float(kl_divergence(EXPERT, WIDE)), rel=1e-3)


def test_the_bounded_reward_is_the_published_one() -> None:
    logit = torch.linspace(-8, 8, 33, dtype=torch.float64)
    reward = bounded_reward(logit)
    assert DIVERGENCES["dail"].reward is bounded_reward
    torch.testing.assert_close(reward, 0.5 * logit.sigmoid() * (1 + logit.tanh()))
    assert float(reward.min()) >= 0
    assert float(reward.max()) <= 1
    assert float(DIVERGENCES["dail"].reward(torch.zeros(1))) == pytest.approx(0.25)
    assert float(DIVERGENCES["dail"].reward(torch.tensor([-1.8]))) < 0.005


def test_all_but_fairl_and_dail_suit_a_generator() -> None:
    assert set(DIVERGENCES) - set(GENERATOR_DIVERGENCES) == {"fairl", "dail", "amp"}


@pytest.mark.parametrize("name", GENERATOR_DIVERGENCES)
def test_a_generators_descent_raises_every_logit(name: str) -> None:
    low, high = ATTAINABLE.get(name, (-6.0, 6.0))
    logit = torch.linspace(low + 0.01, high - 0.01, 13, requires_grad=True)
    DIVERGENCES[name].generator_loss(logit).backward()
    assert logit.grad is not None
    assert (logit.grad < 0).all()


@pytest.mark.parametrize("name", [name for name in DIVERGENCES if name != "amp"])  # it has a kink at 3
def test_the_generators_gradient_is_that_of_a_finite_difference(name: str) -> None:
    logit = torch.linspace(-1.9, 3, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(DIVERGENCES[name].generator_loss, (logit,))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_generators_loss_is_minus_the_mean_reward(name: str) -> None:
    logit = torch.linspace(-3, 3, 7)
    assert torch.equal(DIVERGENCES[name].generator_loss(logit), -DIVERGENCES[name].reward(logit).mean())


def test_generator_losses_are_expectations_of_logarithms_of_d() -> None:
    logit = torch.randn(9, dtype=torch.float64)
    prob = torch.sigmoid(logit)
    losses = {name: DIVERGENCES[name].generator_loss(logit) for name in DIVERGENCES}
    torch.testing.assert_close(losses["minimax"], (1 - prob).log().mean())
    torch.testing.assert_close(losses["non_saturating"], -prob.log().mean())
    torch.testing.assert_close(losses["reverse_kl"], ((1 - prob).log() - prob.log()).mean())


def test_at_the_best_discriminator_the_reverse_kl_loss_is_the_reverse_kl() -> None:
    loss = DIVERGENCES["reverse_kl"].generator_loss(log_ratio(nodes(POLICY)))
    assert float(loss) == pytest.approx(float(kl_divergence(POLICY, EXPERT)), rel=1e-3)


def test_at_the_best_discriminator_the_reverse_kl_reward_is_the_mean_log_ratio() -> None:
    reward = DIVERGENCES["reverse_kl"].reward(log_ratio(nodes(EXPERT))).mean()
    assert float(reward) == pytest.approx(float(kl_divergence(EXPERT, POLICY)), rel=1e-3)


def test_only_the_minimax_generator_stops_learning_when_found_out() -> None:
    logit = torch.tensor([-12.0], requires_grad=True)
    saturated = torch.autograd.grad(DIVERGENCES["minimax"].generator_loss(logit), logit)[0]
    alive = torch.autograd.grad(DIVERGENCES["non_saturating"].generator_loss(logit), logit)[0]
    assert abs(float(saturated)) < 1e-4
    assert float(alive) == pytest.approx(-1, abs=1e-4)


def test_gail_pays_survival_airl_the_log_ratio() -> None:
    assert DIVERGENCES["minimax"].reward is neg_log_one_minus_d
    assert DIVERGENCES["non_saturating"].reward is log_d
    assert DIVERGENCES["reverse_kl"].reward is log_ratio_reward
    assert DIVERGENCES["fairl"].reward is forward_kl_reward
    assert DIVERGENCES["least_squares"].reward is least_squares_reward
    assert DIVERGENCES["amp"].reward is clipped_least_squares_reward


def test_amps_reward_is_the_least_squares_one_within_0_and_1() -> None:
    logit = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0, 9.0])
    assert clipped_least_squares_reward(logit).tolist() == [0, 0, 0.75, 1, 0, 0]  # by hand, from equation 7
    inside = torch.linspace(-1, 3, 41)
    torch.testing.assert_close(clipped_least_squares_reward(inside), least_squares_reward(inside))


DISCRETE_EXPERT = torch.tensor([0.05, 0.15, 0.3, 0.5], dtype=torch.float64)
DISCRETE_POLICY = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
DISCRETE_LOG_RATIO = (DISCRETE_EXPERT / DISCRETE_POLICY).log()


def best_logit(divergence: Divergence) -> Tensor:
    """The logit per outcome with the least discriminator's loss between the two discrete distributions."""
    outcomes = [
        torch.repeat_interleave(torch.arange(4), (20 * p).round().long()) for p in (DISCRETE_EXPERT, DISCRETE_POLICY)
    ]
    logit = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logit], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=1e-16
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = divergence.discriminator_loss(logit[outcomes[0]], logit[outcomes[1]])
        loss.backward()
        return loss

    optimizer.step(closure)
    return logit.detach()


@pytest.mark.parametrize("name", [name for name in DIVERGENCES if DIVERGENCES[name].log_ratio is not None])
def test_the_best_discriminator_of_discrete_distributions_tells_the_log_ratio(name: str) -> None:
    divergence = DIVERGENCES[name]
    assert divergence.log_ratio is not None
    logit = best_logit(divergence)
    torch.testing.assert_close(divergence.log_ratio(logit), DISCRETE_LOG_RATIO, rtol=0, atol=1e-4)
    assert torch.equal(logit > 0, DISCRETE_LOG_RATIO > 0), "zero is where the ratio is one"
    assert divergence.optimal_logit is not None
    torch.testing.assert_close(divergence.optimal_logit(DISCRETE_LOG_RATIO), logit, rtol=0, atol=1e-3)


def test_hinge_and_wasserstein_do_not_tell_the_log_ratio() -> None:
    assert [name for name, each in DIVERGENCES.items() if each.log_ratio is None] == ["hinge", "wasserstein"]
    assert [name for name, each in DIVERGENCES.items() if each.optimal_logit is None] == ["hinge", "wasserstein"]


def test_the_optimal_least_squares_logit_is_the_difference_over_the_sum() -> None:
    ratio = DISCRETE_LOG_RATIO.exp()
    torch.testing.assert_close(least_squares_optimal_logit(DISCRETE_LOG_RATIO), (ratio - 1) / (ratio + 1))


def test_the_least_hinge_loss_is_two_minus_two_total_variations() -> None:
    sign = DISCRETE_LOG_RATIO.sign()
    rows = [torch.repeat_interleave(sign, (20 * p).round().long()) for p in (DISCRETE_EXPERT, DISCRETE_POLICY)]
    total_variation = 0.5 * (DISCRETE_EXPERT - DISCRETE_POLICY).abs().sum()
    torch.testing.assert_close(hinge_discriminator_loss(*rows), 2 - 2 * total_variation)
    for move in 0.3 * torch.randn(50, 4, dtype=torch.float64):
        moved = [
            torch.repeat_interleave(sign + move, (20 * p).round().long()) for p in (DISCRETE_EXPERT, DISCRETE_POLICY)
        ]
        assert hinge_discriminator_loss(*moved) > hinge_discriminator_loss(*rows)


def test_the_hinge_loss_is_the_margin_loss_of_torch() -> None:
    expert, policy = torch.randn(9), torch.randn(6)
    margins = (
        F.hinge_embedding_loss(expert + 1, -torch.ones(9), margin=2.0),
        F.hinge_embedding_loss(1 - policy, -torch.ones(6), margin=2.0),
    )
    torch.testing.assert_close(hinge_discriminator_loss(expert, policy), sum(margins))


def test_the_wasserstein_loss_of_the_best_critic_is_minus_the_distance() -> None:
    stats = pytest.importorskip("scipy.stats")
    expert, policy = torch.randn(300, dtype=torch.float64) + 2, 0.5 * torch.randn(200, dtype=torch.float64) - 9
    distance = stats.wasserstein_distance(expert.numpy(), policy.numpy())
    assert expert.min() > policy.max(), "then the slope 1 everywhere is best"
    assert -float(wasserstein_discriminator_loss(expert, policy)) == pytest.approx(distance)
    assert float(wasserstein_discriminator_loss(expert + 7, policy + 7)) == pytest.approx(-distance)


def test_least_squares_is_the_mean_squared_error_of_the_labels_one_and_minus_one() -> None:
    expert, policy = torch.randn(9), torch.randn(6)
    errors = F.mse_loss(expert, torch.ones(9)) + F.mse_loss(policy, -torch.ones(6))
    torch.testing.assert_close(least_squares_discriminator_loss(expert, policy), errors / 2)


def test_the_least_squares_optimum_is_the_normalized_difference() -> None:
    difference = (DISCRETE_EXPERT - DISCRETE_POLICY) / (DISCRETE_EXPERT + DISCRETE_POLICY)
    torch.testing.assert_close(best_logit(DIVERGENCES["least_squares"]), difference, rtol=0, atol=1e-6)
    torch.testing.assert_close(least_squares_log_ratio(difference), DISCRETE_LOG_RATIO)
    torch.testing.assert_close(least_squares_log_ratio(difference), 2 * torch.atanh(difference))


def test_the_least_squares_reward_is_one_for_the_expert_and_zero_for_the_policy() -> None:
    assert least_squares_reward(torch.tensor([1.0, -1.0, 0.0])).tolist() == [1, 0, 0.75]


@pytest.mark.parametrize("real_target", [0.9, 0.7])
def test_smoothing_is_cross_entropy_with_the_smoothed_label(real_target: float) -> None:
    real, fake = torch.randn(9), torch.randn(6)
    expected = F.binary_cross_entropy_with_logits(real, torch.full((9,), real_target))
    expected = expected + F.binary_cross_entropy_with_logits(fake, torch.zeros(6))
    torch.testing.assert_close(smoothed_discriminator_loss(real, fake, real_target), expected)


def test_the_optimum_of_the_smoothed_loss_is_the_share_of_the_data_times_the_target() -> None:
    logit = best_logit(Divergence(lambda real, fake: smoothed_discriminator_loss(real, fake, 0.9), log_ratio_reward))
    expected = 0.9 * DISCRETE_EXPERT / (DISCRETE_EXPERT + DISCRETE_POLICY)
    torch.testing.assert_close(torch.sigmoid(logit), expected, rtol=0, atol=1e-6)


def test_a_smoothed_target_of_one_is_the_logistic_loss() -> None:
    real, fake = torch.randn(9), torch.randn(6)
    assert torch.equal(smoothed_discriminator_loss(real, fake, 1.0), logistic_discriminator_loss(real, fake))


def test_a_critics_constant_moves_its_boundary_and_no_other_divergence_has_one() -> None:
    expert, policy = torch.tensor([1.0, 3.0]), torch.tensor([-2.0, -1.0, 0.0])
    assert float(middle(expert, policy)) == 0.5
    assert float(DIVERGENCES["wasserstein"].boundary(expert + 9, policy + 9)) == 9.5
    others = [each.boundary(expert, policy) for name, each in DIVERGENCES.items() if name != "wasserstein"]
    assert set(others) == {0.0}


def test_an_f_divergence_of_the_table_is_its_game() -> None:
    game = variational(F_DIVERGENCES["pearson"])
    expert, policy = torch.randn(5), torch.randn(4)
    assert torch.equal(
        game.discriminator_loss(expert, policy), DIVERGENCES["f_pearson"].discriminator_loss(expert, policy)
    )
    assert torch.equal(game.reward(policy), F_DIVERGENCES["pearson"].reward(policy))


@pytest.mark.parametrize("name", [name for name in DIVERGENCES if DIVERGENCES[name].log_ratio is not None])
def test_sure_discriminators_tell_a_finite_log_ratio(name: str) -> None:
    tell = DIVERGENCES[name].log_ratio
    assert tell is not None
    low, high = tell(torch.tensor([-100.0, 100.0]))
    assert -200 <= low < 0 < high <= 200


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("size", [50.0, 100.0])
def test_sure_discriminators_have_finite_losses_rewards_and_gradients(name: str, size: float) -> None:
    divergence = DIVERGENCES[name]
    logit = torch.tensor([-size, size], requires_grad=True)
    for loss in (divergence.discriminator_loss(logit, logit), divergence.generator_loss(logit)):
        (gradient,) = torch.autograd.grad(loss, logit)
        assert loss.isfinite()
        assert gradient.square().isfinite().all(), "Adam keeps the square"
