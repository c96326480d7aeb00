"""The units of bonuses, against computations by hand."""

import numpy as np
import pytest
import torch

from rlgen.errors import InputError
from rlgen.rewards import BonusUnit
from rlgen.rewards.bonus_unit import DiscountedReturnStd, LargestSoFar

GAMMA = 0.9


def rollout(steps: int, seed: int = 0, n_envs: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=(steps, n_envs))


def sums_by_hand(rewards: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
    """[T, N], one step after the other."""
    running, sums = np.zeros(rewards.shape[1]), []
    for reward, start in zip(rewards, np.zeros(rewards.shape) if starts is None else starts, strict=True):
        running = np.where(start, 0.0, GAMMA * running) + reward
        sums.append(running)
    return np.array(sums)


def test_the_unit_is_the_deviation_of_all_discounted_sums_so_far() -> None:
    unit, rewards = DiscountedReturnStd(3, GAMMA), rollout(20).astype(np.float32)
    for part in (rewards[:7], rewards[7:]):
        unit.merge(torch.from_numpy(part.flatten()))
    bonus = torch.tensor([0.5, 2.0])
    np.testing.assert_allclose(unit(bonus), bonus.numpy() / sums_by_hand(rewards).std(), rtol=1e-6)


def test_a_rollout_that_its_environments_cannot_share_is_refused() -> None:
    with pytest.raises(InputError, match="3 environments"):
        DiscountedReturnStd(3, GAMMA).merge(torch.ones(7))


def test_the_largest_bonus_so_far_is_paid_as_one() -> None:
    unit = LargestSoFar()
    unit.merge(torch.tensor([1.0, 4.0, 2.0]))
    torch.testing.assert_close(unit(torch.tensor([4.0, 1.0])), torch.tensor([1.0, 0.25]))
    unit.merge(torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(unit(torch.tensor([0.5])), torch.tensor([0.125]))
    unit.merge(torch.tensor([8.0]))
    torch.testing.assert_close(unit(torch.tensor([2.0])), torch.tensor([0.25]))


@pytest.mark.parametrize("unit", [LargestSoFar(), DiscountedReturnStd(2, GAMMA)], ids=["largest", "spread"])
def test_nothing_new_at_all_is_paid_nothing(unit: BonusUnit) -> None:
    unit.merge(torch.zeros(8))
    assert torch.equal(unit(torch.zeros(8)), torch.zeros(8))
