"""Rows of earlier rollouts: which are kept, how often each is drawn, and their state."""

import torch

from rlgen.rewards.past_rollouts import PastRollouts

CPU = torch.device("cpu")


def rollout(number: int) -> torch.Tensor:
    return torch.full((7, 2), float(number))


def test_it_keeps_the_last_rollouts_and_draws_from_each_as_often() -> None:
    torch.manual_seed(0)
    past = PastRollouts(3, 4)
    past.add(rollout(0))
    assert past.draw(5).unique().tolist() == [0], "not from the places that are still empty"
    for number in range(1, 5):
        past.add(rollout(number))
    numbers, counts = past.draw(3000)[:, 0].unique(return_counts=True)
    assert numbers.tolist() == [2, 3, 4]
    assert counts.min() > 900


def test_it_continues_from_its_state() -> None:
    for added in (0, 1, 3, 5):
        past, again = PastRollouts(3, 4), PastRollouts(3, 4)
        for number in range(added):
            past.add(rollout(number))
        again.load_state_dict(past.state_dict(), CPU)
        for each in (past, again):
            torch.manual_seed(0)
            each.add(rollout(9))
        torch.manual_seed(0)
        drawn = past.draw(64)
        torch.manual_seed(0)
        assert torch.equal(again.draw(64), drawn)
