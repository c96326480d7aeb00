"""The value function of a bonus whose returns do not end with episodes."""

import logging

import numpy as np
import pytest
import torch

from rlgen.equations.policy_gradient import non_episodic_advantages
from rlgen.errors import InputError
from rlgen.rewards import BonusValue, BonusValueConfig
from rlgen.runs.state_tree import decode, encode

STEPS, ENVS, GAMMA, LAM = 60, 4, 0.8, 0.9
CONFIG = BonusValueConfig(gamma=GAMMA, hidden=(16,), learning_rate=3e-3, batch_size=60)
RING = torch.eye(3)
BONUSES = torch.tensor([0.0, 5.0, 1.0])


def value_of(config: BonusValueConfig = CONFIG, seed: int = 0) -> BonusValue:
    torch.manual_seed(seed)
    return BonusValue(3, ENVS, config, "cpu")


def around(start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations [(T + 1) · N, 3] of environments that go round three states, and the bonus [T, N] of each step."""
    states = (start + torch.arange(STEPS + 1)[:, None] + torch.arange(ENVS)) % 3
    return RING[states].flatten(0, 1), BONUSES[states[:-1]]


def test_before_it_has_learned_advantages_are_discounted_sums_of_the_bonus() -> None:
    observations, bonus = around()
    found, _ = value_of().advantages(observations, bonus, LAM)
    expected, following = torch.zeros(STEPS, ENVS), torch.zeros(ENVS)
    for step in reversed(range(STEPS)):
        expected[step] = following = bonus[step] + GAMMA * LAM * following
    torch.testing.assert_close(found, expected)


def test_it_learns_the_returns_of_an_endless_stream() -> None:
    """V = r + γ P V of a ring of states, as a linear system."""
    value = value_of()
    for _ in range(60):
        advantages, metrics = value.advantages(*around(), LAM)
    turn = np.roll(np.eye(3), 1, axis=1)
    exact = np.linalg.solve(np.eye(3) - GAMMA * turn, BONUSES.numpy())
    np.testing.assert_allclose(value.values(RING) * value.unit.std, exact, rtol=0.03)
    assert advantages.abs().max() < 0.3 < BONUSES.max()
    assert metrics["value_explained_variance"] > 0.9


def test_advantages_are_those_of_its_values_before_it_learns_from_the_rollout() -> None:
    value = value_of()
    value.advantages(*around(), LAM)
    observations, bonus = around(start=1)
    before, std = value.values(observations).view(-1, ENVS), value.unit.std.clone()
    found, _ = value.advantages(observations, bonus, LAM)
    expected = non_episodic_advantages(bonus / value.unit.std.float(), before, GAMMA, LAM) * value.unit.std.float()
    torch.testing.assert_close(found, expected)
    assert value.unit.std != std, "its unit has changed"
    assert not torch.equal(value.values(observations).view(-1, ENVS), before), "it has learned"


def test_the_unit_of_a_bonus_is_that_of_its_advantages() -> None:
    found = []
    for factor in (1, 1000):
        value, (observations, bonus) = value_of(), around()
        for _ in range(3):
            advantages, _ = value.advantages(observations, factor * bonus, LAM)
        found.append(advantages / factor)
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def test_without_a_bonus_there_are_no_advantages() -> None:
    value, (observations, bonus) = value_of(), around()
    for _ in range(3):
        found, metrics = value.advantages(observations, 0 * bonus, LAM)
        assert not found.any()
        assert all(torch.isfinite(number) for number in metrics.values())


def test_a_saved_one_continues_bit_for_bit() -> None:
    one, other = value_of(), value_of(seed=1)
    one.advantages(*around(), LAM)
    other.load_state_dict(decode(*encode(one.state_dict())))
    for start in range(2):
        found = []
        for each in (one, other):
            torch.manual_seed(5)
            found.append(each.advantages(*around(start), LAM)[0])
        assert torch.equal(*found)
    assert torch.equal(one.values(RING), other.values(RING))


def test_the_same_seed_gives_the_same_values() -> None:
    values = []
    for _ in range(2):
        value = value_of()
        value.advantages(*around(), LAM)
        values.append(value.values(RING))
    assert torch.equal(*values)


def test_it_warns_once_when_the_task_has_ended_an_episode(caplog: pytest.LogCaptureFixture) -> None:
    value = value_of()
    caplog.set_level(logging.WARNING, "rlgen")
    value.warn_of_falls(torch.tensor([False, False]))
    assert caplog.text == ""
    for _ in range(2):
        value.warn_of_falls(torch.tensor([False, True]))
    (record,) = caplog.records
    assert "may learn to fall" in record.getMessage()


@pytest.mark.parametrize(
    "wrong",
    [{"gamma": 1.0}, {"gamma": -0.1}, {"hidden": (0,)}, {"learning_rate": 0.0}, {"epochs": 0}, {"batch_size": 0}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        BonusValueConfig(**wrong)
