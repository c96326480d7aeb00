"""The pool of past transitions."""

import pytest
import torch

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards.replay_pool import ReplayPool


def numbered(first: int, end: int) -> Transitions:
    """Transitions that carry their number in every field; every third terminated."""
    number = torch.arange(first, end, dtype=torch.float32)
    column = number.unsqueeze(-1)
    return Transitions(column.expand(-1, 2), column, column.expand(-1, 2) + 0.5, number % 3 == 0, number % 5 == 0)


def kept(pool: ReplayPool) -> set[int]:
    assert pool.rows is not None
    return {int(number) for number in pool.rows.actions[: len(pool)].flatten()}


@pytest.mark.parametrize("sizes", [[4, 4, 4], [10], [1] * 12, [25]])
def test_the_newest_are_kept(sizes: list[int]) -> None:
    pool, done = ReplayPool(10), 0
    for size in sizes:
        pool.add(numbered(done, done + size))
        done += size
    assert kept(pool) == set(range(max(0, done - 10), done))
    assert len(pool) == min(done, 10)


def test_the_fields_of_a_transition_stay_together() -> None:
    torch.manual_seed(0)
    pool = ReplayPool(10)
    pool.add(numbered(0, 7))
    pool.add(numbered(7, 16))
    drawn = pool.draw(200)
    number = drawn.actions.flatten()
    assert torch.equal(drawn.next_observations[:, 1], number + 0.5)
    assert torch.equal(drawn.terminated, number % 3 == 0)
    assert torch.equal(drawn.truncated, number % 5 == 0)
    assert set(number.int().tolist()) == set(range(6, 16))


@pytest.mark.parametrize("done", [0, 4, 10, 13])
def test_a_pool_that_was_saved_goes_on_alike(done: int) -> None:
    one, two = ReplayPool(10), ReplayPool(10)
    if done:
        one.add(numbered(0, done))
    two.load_state_dict(one.state_dict())
    for pool in (one, two):
        pool.add(numbered(done, done + 3))
    assert len(one) == len(two)
    assert one.rows is not None
    assert two.rows is not None
    for ours, theirs in zip(one.rows.tensors(), two.rows.tensors(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="pool of 1 row or more"):
        ReplayPool(0)


def test_a_pool_follows_the_device_of_what_comes() -> None:
    """A checkpoint is read on the host; "meta" stands for a device that this machine need not have."""
    pool = ReplayPool(10)
    pool.add(numbered(0, 4))
    pool.add(numbered(4, 6).to("meta"))
    assert pool.rows is not None
    assert {tensor.device.type for tensor in pool.rows.tensors()} == {"meta"}


def test_rows_of_a_file_that_do_not_fit_each_other_are_refused() -> None:
    pool = ReplayPool(10)
    pool.add(numbered(0, 4))
    for field, damaged in (("4", torch.zeros(4)), ("3", torch.zeros(3, dtype=torch.bool)), ("2", torch.zeros(4, 9))):
        state = pool.state_dict()
        state["rows"][field] = damaged
        with pytest.raises(InputError, match=r"expected observations \[B, O\].*load the state of the same training"):
            ReplayPool(10).load_state_dict(state)
