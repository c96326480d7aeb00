"""A policy that reverts to its prior away from its data, and what its loss teaches which part."""

import math

import pytest
import torch
from torch.distributions import Categorical, Normal

from rlgen.nn import StationaryCategorical, StationaryPolicy
from rlgen.nn.stationary_policy import PRIOR_STD


@pytest.fixture(scope="module")
def learned() -> StationaryPolicy:
    """A policy that has learned a = tanh(s) / 2 near 0, with little noise."""
    torch.manual_seed(0)
    policy = StationaryPolicy(2, 2, hidden=(32, 8), features=128)
    optimizer = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(400):
        seen = torch.randn(64, 2)
        optimizer.zero_grad()
        policy.loss(seen, torch.tanh(seen) / 2 + 0.05 * torch.randn(64, 2)).backward()
        optimizer.step()
    return policy


def test_it_is_sure_where_it_has_learned_and_its_prior_elsewhere(learned: StationaryPolicy) -> None:
    with torch.no_grad():
        near, far = (learned(scale * torch.randn(300, 2)) for scale in (0.5, 100.0))
    assert float(near[1].mean()) < 0.15 < 0.35 < float(far[1].mean())
    assert float(far[1].mean()) == pytest.approx(PRIOR_STD, abs=0.35)
    assert float(far[0].square().mean()) < 0.3


def test_actions_elsewhere_have_a_log_ratio_of_about_0_and_wrong_ones_near_the_data_a_low_one(
    learned: StationaryPolicy,
) -> None:
    actions = torch.rand(300, 2) * 2 - 1
    near, far = 0.5 * torch.randn(300, 2), 100 * torch.randn(300, 2)
    with torch.no_grad():
        right, wrong, elsewhere = (
            float((learned.log_prob(seen, acted) - learned.prior_log_prob(acted)).mean())
            for seen, acted in ((near, torch.tanh(near) / 2), (near, actions), (far, actions))
        )
    assert right > 2
    assert wrong < -5
    assert -2 < elsewhere < 0.5


def test_log_probabilities_are_those_of_a_gaussian(learned: StationaryPolicy) -> None:
    seen, actions = torch.randn(5, 2), torch.randn(5, 2)
    mean, std = learned(seen)
    torch.testing.assert_close(learned.log_prob(seen, actions), Normal(mean, std).log_prob(actions).sum(1))
    torch.testing.assert_close(learned.prior_log_prob(actions), Normal(0.0, PRIOR_STD).log_prob(actions).sum(1))


def test_before_learning_it_is_its_prior_up_to_the_length_of_its_features() -> None:
    torch.manual_seed(0)
    policy = StationaryPolicy(3, 2)
    mean, std = policy(10 * torch.randn(200, 3))
    assert (mean == 0).all()
    assert float(std.mean().detach()) == pytest.approx(PRIOR_STD, abs=0.02)


def test_only_the_squared_error_teaches_the_mean_and_only_the_likelihood_the_noise() -> None:
    torch.manual_seed(0)
    policy, seen, actions = StationaryPolicy(3, 2, hidden=(8,), features=16), torch.randn(20, 3), torch.rand(20, 2)
    with torch.no_grad():
        policy.mean.normal_()
    parts = dict(policy.named_parameters())
    whole = torch.autograd.grad(policy.loss(seen, actions), list(parts.values()))
    mean, _ = policy(seen)
    alone = torch.autograd.grad((mean - actions).square().mean(), list(parts.values()), allow_unused=True)
    for name, found, expected in zip(parts, whole, alone, strict=True):
        if name == "scale":
            assert expected is None
            (own,) = torch.autograd.grad(-policy.log_prob(seen, actions).mean(), [policy.scale])
            torch.testing.assert_close(found, own)
        else:
            torch.testing.assert_close(found, expected)


def test_the_noise_has_a_lower_limit() -> None:
    policy = StationaryPolicy(3, 2, hidden=(8,), features=16, least_std=0.2)
    with torch.no_grad():
        policy.scale.zero_()
        assert float(policy(torch.randn(9, 3))[1].min()) == pytest.approx(0.2, abs=0.005)


@pytest.fixture(scope="module")
def chosen() -> StationaryCategorical:
    """A policy of two numbers that has learned the signs of two observations near 0: 0 or 1, and 0 or 2."""
    torch.manual_seed(0)
    policy = StationaryCategorical(2, (2, 3), hidden=(32, 8), features=128, prior_share=0.1)
    optimizer = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(300):
        seen = torch.randn(64, 2)
        optimizer.zero_grad()
        policy.loss(seen, signs(seen)).backward()
        optimizer.step()
    return policy


def signs(seen: torch.Tensor) -> torch.Tensor:
    return (seen > 0).float() * torch.tensor([1.0, 2.0])


def test_a_categorical_policy_is_sure_where_it_has_learned_and_near_its_prior_elsewhere(
    chosen: StationaryCategorical,
) -> None:
    near, far = torch.randn(300, 2), 100 * torch.randn(300, 2)
    with torch.no_grad():
        right, elsewhere = (
            float((chosen.log_prob(seen, signs(seen)) - chosen.prior_log_prob(seen)).mean() / 2) for seen in (near, far)
        )
    assert 0.75 * chosen.highest_log_ratio < right < chosen.highest_log_ratio
    assert abs(elsewhere) < right / 2


def test_its_log_probabilities_are_those_of_a_mixture_with_a_uniform_one(chosen: StationaryCategorical) -> None:
    seen, actions = torch.randn(9, 2), torch.tensor([[0.0, 2.0]] * 9)
    first, second = (chosen.features(seen) @ chosen.logits).split([2, 3], 1)
    mixed = [0.9 * Categorical(logits=part).probs + 0.1 / part.shape[1] for part in (first, second)]
    torch.testing.assert_close(chosen.log_prob(seen, actions), (mixed[0][:, 0] * mixed[1][:, 2]).log())
    torch.testing.assert_close(chosen.prior_log_prob(actions).exp(), torch.full((9,), 1 / 6))
    assert chosen.highest_log_ratio == pytest.approx(math.log(0.95 * 2 * (0.9 + 0.1 / 3) * 3) / 2)
    assert StationaryCategorical(2, (2, 3)).log_prob(seen, actions).exp().tolist() == pytest.approx([1 / 6] * 9)
