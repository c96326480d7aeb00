"""PPO's loss and its written-out gradient against torch.distributions and autograd."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlgen.equations.policy_gradient import gaussian_surrogate, kl_estimate

ROWS, ACTIONS = 64, 3


def rows(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    like = {"dtype": torch.float64}
    mean = torch.randn(ROWS, ACTIONS, **like)
    log_std = torch.tensor([-0.5, 0.0, 0.3], **like)
    action = mean + torch.randn(ROWS, ACTIONS, **like)
    old = Normal(mean + 0.3 * torch.randn(ROWS, ACTIONS, **like), (log_std + 0.1).exp())
    return {
        "mean": mean.requires_grad_(),
        "log_std": log_std.requires_grad_(),
        "value": torch.randn(ROWS, 1, **like).requires_grad_(),
        "action": action,
        "old_log_prob": old.log_prob(action).sum(-1),
        "advantage": torch.randn(ROWS, **like),
        "returns": torch.randn(ROWS, **like),
    }


def by_autograd(mean, log_std, value, action, old_log_prob, advantage, returns, clip_range, weight) -> Tensor:
    """Eqs. 7 and 9 of the paper as they stand."""
    ratio = (Normal(mean, log_std.exp()).log_prob(action).sum(-1) - old_log_prob).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return (weight * (value.squeeze(-1) - returns) ** 2 - torch.minimum(ratio * advantage, clipped * advantage)).mean()


@pytest.mark.parametrize("clip_range", [0.05, 0.2, 10.0])
def test_loss_and_gradient_are_those_of_autograd(clip_range: float) -> None:
    inputs = rows()
    learned = [inputs[name] for name in ("mean", "log_std", "value")]
    losses = gaussian_surrogate(**inputs, clip_range=clip_range, value_weight=0.7)
    expected = by_autograd(*inputs.values(), clip_range, 0.7)
    torch.testing.assert_close(losses.loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(losses.loss, losses.policy_loss + 0.7 * losses.value_loss)
    for ours, theirs in zip(
        torch.autograd.grad(losses.loss, learned), torch.autograd.grad(expected, learned), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)


def test_the_gradient_is_a_finite_difference() -> None:
    inputs = rows(1)
    learned = tuple(inputs[name] for name in ("mean", "log_std", "value"))
    rest = [inputs[name] for name in ("action", "old_log_prob", "advantage", "returns")]
    assert torch.autograd.gradcheck(lambda *three: gaussian_surrogate(*three, *rest, 0.2, 0.5).loss, learned)


def test_rows_on_the_clipped_side_do_not_move_the_policy() -> None:
    inputs = rows() | {"old_log_prob": torch.full((ROWS,), -100.0, dtype=torch.float64)}  # ratios far above the range
    (gradient,) = torch.autograd.grad(
        gaussian_surrogate(**inputs, clip_range=0.2, value_weight=0.5).loss, inputs["mean"]
    )
    moves = gradient.abs().sum(-1) > 0
    assert torch.equal(moves, inputs["advantage"] < 0)


def test_the_gradient_is_scaled_by_what_comes_from_above() -> None:
    inputs = rows()
    once = gaussian_surrogate(**inputs, clip_range=0.2, value_weight=0.5).loss
    thrice = 3 * gaussian_surrogate(**inputs, clip_range=0.2, value_weight=0.5).loss
    (one,), (three,) = torch.autograd.grad(once, inputs["mean"]), torch.autograd.grad(thrice, inputs["mean"])
    torch.testing.assert_close(three, 3 * one)


def test_the_kl_estimate_is_the_divergence_on_average_and_never_negative() -> None:
    torch.manual_seed(0)
    old, new = Normal(torch.tensor(0.0), torch.tensor(1.0)), Normal(torch.tensor(0.2), torch.tensor(1.1))
    action = old.sample((400_000,))
    log_ratio = new.log_prob(action) - old.log_prob(action)
    assert float(kl_estimate(log_ratio)) == pytest.approx(float(kl_divergence(old, new)), rel=0.02)
    assert float(kl_estimate(log_ratio[:1])) >= 0
