"""The weight of a reward source rises where a policy turns away from what is new, whatever the source learns."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from rlgen.data import Transitions
from rlgen.rewards import PredictionError, PredictionErrorConfig, RandomNetworkDistillation, RewardSource, TaskShape
from rlgen.rewards.automatic_weight import EARLIER, RANGE, ROWS, STEP_SIZE, AutomaticWeight
from rlgen.runs.state_tree import decode, encode


class Far:
    """Rewards the distance from 0 of the next observation, in a unit, and half as much after every update."""

    def __init__(self, unit: float = 1.0, learns: float = 0.5):
        self.unit, self.learns = unit, learns

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        self.unit *= self.learns
        return {"loss": torch.tensor(3.0)}

    def reward(self, batch: Transitions) -> Tensor:
        return self.unit * batch.next_observations.sum(-1)

    def state_dict(self) -> dict[str, Any]:
        return {"unit": self.unit}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.unit = state["unit"]


def at(place: float, rows: int = 20) -> Transitions:
    """Transitions of a policy that is at one place."""
    never = torch.zeros(rows, dtype=torch.bool)
    return Transitions(torch.zeros(rows, 1), torch.zeros(rows, 1), torch.full((rows, 1), float(place)), never, never)


def weights(places: list[float], source: RewardSource, start: float = 0.5) -> list[float]:
    """The weight after an update with each of the places."""
    automatic = AutomaticWeight(source, start)
    return [float(automatic.update(at(place))["eta"]) for place in places]


def test_the_weight_rises_where_the_bonus_of_the_policy_falls() -> None:
    found = weights([5, 5, 4, 3, 2, 1], Far(learns=1.0))
    assert found[:2] == pytest.approx([0.5, 0.5])
    assert all(after > before for before, after in pairwise(found[1:]))


def test_the_weight_falls_where_the_bonus_of_the_policy_rises() -> None:
    found = weights([1, 1, 2, 3, 4, 5], Far(learns=1.0))
    assert found[:2] == pytest.approx([0.5, 0.5])
    assert all(after < before for before, after in pairwise(found[1:]))


def test_what_the_source_learns_does_not_move_the_weight() -> None:
    """The bonus falls to a thousandth of a millionth."""
    torch.testing.assert_close(weights([3] * 30, Far()), [0.5] * 30)
    places = [1.0, 2, 3, 2, 1, 5]
    torch.testing.assert_close(weights(places, Far()), weights(places, Far(learns=1.0)))


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_bonus_does_not_matter_and_the_start_is_a_factor(unit: float) -> None:
    places = [1.0, 2, 3, 2, 1, 5]
    usual = torch.tensor(weights(places, Far()))
    torch.testing.assert_close(torch.tensor(weights(places, Far(unit))), usual)
    torch.testing.assert_close(torch.tensor(weights(places, Far(), start=50.0)), 100 * usual)


def test_a_lasting_change_of_the_policy_moves_the_weight_about_in_inverse_proportion() -> None:
    """The first update after it is compared with ten before it, the next with nine of ten, and so on: 5.5 in all."""
    found = weights([1.0] * EARLIER + [4.0] * (EARLIER + 5), Far())
    assert found[-1] == pytest.approx(0.5 * 4 ** (-5.5 * STEP_SIZE), rel=1e-5)
    assert found[-1] == pytest.approx(found[-5])


@pytest.mark.parametrize(("factor", "bound"), [(0.5, 0.5 * RANGE), (2.0, 0.5 / RANGE)])
def test_the_weight_neither_explodes_nor_vanishes(factor: float, bound: float) -> None:
    found = weights([factor**time for time in range(100)], Far(learns=1.0))
    assert found[-1] == pytest.approx(bound)
    assert found[5] != pytest.approx(bound)


@pytest.mark.parametrize("place", [0.0, -1.0, math.nan, math.inf])
def test_where_gains_cannot_be_compared_the_weight_stays(place: float) -> None:
    found = weights([1.0, 2, place, 2, 3], Far(learns=1.0))
    assert found[2] == found[1] < found[0]
    assert math.isfinite(found[-1])


def test_rows_that_are_not_finite_are_neither_compared_nor_kept() -> None:
    automatic, some = AutomaticWeight(Far(), 0.5), at(1.0, 200)
    some.next_observations[::3] = math.nan
    for _ in range(4):
        automatic.update(some)
    assert automatic.earlier.rows is not None
    assert bool(automatic.earlier.rows.next_observations.isfinite().all())
    assert float(automatic.weight(0.0)) == pytest.approx(0.5)


def test_in_all_else_it_is_the_source() -> None:
    source = Far()
    automatic, batch = AutomaticWeight(source, 0.5), at(3.0)
    assert isinstance(automatic, RewardSource)
    logged = automatic.update(batch)
    assert float(logged["loss"]) == 3
    assert torch.equal(automatic.reward(batch), source.reward(batch))


def test_the_same_batch_is_known_to_the_source_again() -> None:
    """Novelty of a rollout is that from before the source has learned from it."""
    torch.manual_seed(0)
    automatic = AutomaticWeight(RandomNetworkDistillation(TaskShape(observation_size=1, action_size=1)), 0.5)
    batch = at(1.0)
    batch.next_observations.normal_()
    automatic.update(batch)
    assert torch.equal(automatic.reward(batch), automatic.source._known[1])  # type: ignore[attr-defined]


def test_a_model_that_learns_moves_its_bonus_far_more_than_the_weight(moves) -> None:
    """Rollouts of one policy: nothing but the model changes."""
    torch.manual_seed(0)
    shape, config = TaskShape(observation_size=2, action_size=2), PredictionErrorConfig(unit="none", hidden=(16,))
    automatic, bonus, found = AutomaticWeight(PredictionError(shape, config), 0.5), [], []
    for seed in range(30):
        batch = moves(300, seed=seed)
        found.append(float(automatic.update(batch)["eta"]))
        bonus.append(float(automatic.reward(batch).mean()))
    learned, moved = (abs(math.log(values[-1] / values[0])) for values in (bonus, found))
    assert learned > 1
    assert moved < 0.1 * learned


def test_it_goes_on_from_its_state_bit_for_bit(moves) -> None:
    shape = TaskShape(observation_size=2, action_size=2)

    def made() -> AutomaticWeight:
        return AutomaticWeight(RandomNetworkDistillation(shape), 0.5)

    first, second, found = made(), made(), []
    for seed in range(EARLIER + 4):
        first.update(moves(50, 0.1 * seed, seed))
    second.load_state_dict(decode(*encode(first.state_dict())))
    for each in (first, second):
        torch.manual_seed(7)
        found.append([float(each.update(moves(50, -0.2 * seed, seed))["eta"]) for seed in range(5)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 5
    assert len(first.earlier) == EARLIER * ROWS
