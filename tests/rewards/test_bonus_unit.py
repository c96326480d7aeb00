"""The units of bonuses, against computations by hand."""

import numpy as np
import pytest
import torch

from rlgen.errors import InputError
from rlgen.rewards import BonusUnit
from rlgen.rewards.bonus_unit import DiscountedReturnStd, LargestSoFar, RecentMedians, UnitConfig

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


def test_a_usual_bonus_is_one_in_the_unit_of_recent_medians() -> None:
    unit = RecentMedians(2)
    unit.merge(torch.full((5,), 100.0))  # of an untrained model
    assert torch.equal(unit(torch.ones(3)), torch.zeros(3))
    for median in (4.0, 2.0, 6.0):
        unit.merge(median * torch.tensor([0.1, 0.5, 1.0, 7.0, 9.0]))
    assert float(unit(torch.tensor([12.0]))) == pytest.approx(3), "the mean of 2 and 6"


def test_numbers_that_are_not_finite_have_no_part_in_medians() -> None:
    unit = RecentMedians(3)
    for _ in range(2):
        unit.merge(torch.tensor([1.0, torch.nan, 3.0, torch.inf, 2.0]))
    assert float(unit(torch.tensor([2.0]))) == 1
    unit.merge(torch.full((4,), torch.nan))
    assert float(unit(torch.tensor([2.0]))) == 1


@pytest.mark.parametrize("name", ["medians", "returns", "largest", "none"])
def test_every_curiosity_can_be_paid_in_every_unit_and_capped(name: str) -> None:
    unit = UnitConfig(unit=name, highest=2.5, medians=3).make_unit(2)
    for _ in range(3):
        unit.merge(torch.tensor([1.0, 2.0, 3.0, 0.5]))
    assert float(unit(torch.tensor([1e6]))) == 2.5
    assert 0 < float(unit(torch.tensor([0.2]))) < 1


def test_a_half_life_forgets_returns() -> None:
    """A jump long ago has no effect; without a half-life it divides all that follows."""
    kept, forgetting = DiscountedReturnStd(2, 0.5), DiscountedReturnStd(2, 0.5, half_life=40)
    generator = torch.Generator().manual_seed(0)
    for number in range(60):
        bonus = torch.rand(40, generator=generator) * (1000 if number == 0 else 1)
        for unit in (kept, forgetting):
            unit.merge(bonus)
    usual = DiscountedReturnStd(2, 0.5)
    usual.merge(bonus)
    one = torch.ones(1)
    assert float(forgetting(one) / usual(one)) == pytest.approx(1, abs=0.25)
    assert float(kept(one) / usual(one)) < 0.05


@pytest.mark.parametrize("wrong", [{"gamma": 1.0}, {"medians": 0}, {"highest": 0.0}])
def test_units_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        UnitConfig(**wrong)
