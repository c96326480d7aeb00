"""Processes that train together, alone and as two."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlgen import distributed
from rlgen.nn import Normalizer
from rlgen.rewards import ReturnNormalizer
from rlgen.runs.checkpoint import OTHERS, own_state

from ..processes import in_processes
from .two_processes import ROWS, STARTS


def test_one_process_gets_back_what_it_gave() -> None:
    assert (distributed.world_size(), distributed.rank()) == (1, 0)
    for function in (
        distributed.local_rows,
        distributed.all_gather,
        distributed.all_reduce_sum,
        distributed.all_reduce_mean,
        distributed.all_reduce_max,
    ):
        assert torch.equal(function(ROWS), ROWS)
    assert [distributed.any_of(flag) for flag in (False, True)] == [False, True]
    assert distributed.mean_and_std(ROWS[:, 0]) == (ROWS[:, 0].mean(), ROWS[:, 0].std())
    (drawn,) = distributed.draw([ROWS], 4, 100)
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in ROWS[:4].tolist()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(Path(__file__).with_name("two_processes.py"), "of_two", tmp_path_factory.mktemp("two"))


def same(found: list[dict[str, Any]], name: str) -> Any:
    """What both have found alike."""
    first, second = (each[name] for each in found)
    if isinstance(first, Tensor):
        assert torch.equal(first, second)
    return first


def test_two_processes_own_halves_and_gather_the_whole(found: list[dict[str, Any]]) -> None:
    halves = [each["own"] for each in found]
    assert torch.equal(torch.cat(halves), ROWS)
    assert torch.equal(same(found, "gathered"), ROWS)
    assert torch.equal(same(found, "flags"), ROWS[:, 0] > 0)
    assert torch.equal(same(found, "total"), halves[0] + halves[1])
    assert torch.equal(same(found, "mean"), (halves[0] + halves[1]) / 2)
    assert torch.equal(same(found, "largest"), torch.maximum(*halves))
    assert [each["any"] for each in found] == [(True, False)] * 2


def test_two_processes_find_the_moments_of_all(found: list[dict[str, Any]]) -> None:
    mean, std = found[0]["moments"]
    torch.testing.assert_close(mean, ROWS[:, 0].mean())
    torch.testing.assert_close(std, ROWS[:, 0].std())
    normalizer = Normalizer.of(torch.ones(2, 2))
    normalizer.merge(ROWS)
    for each in found:
        torch.testing.assert_close(dict(each["normaliser"]), dict(normalizer.state_dict()))
    assert same(found, "largest bonus") == ROWS[:, 0].max()


def test_two_processes_scale_returns_as_one_with_all_worlds(found: list[dict[str, Any]]) -> None:
    scale = ReturnNormalizer(0.9, n_envs=4)
    scale.update(ROWS.view(3, 4, 2)[..., 0].contiguous(), STARTS)
    one = scale.state_dict()
    for each in found:
        for name in ("mean", "var", "count"):
            torch.testing.assert_close(each["scale"][name], one[name])
    torch.testing.assert_close(torch.cat([each["scale"]["running"] for each in found]), one["running"])


def test_two_processes_draw_the_same_rows_of_both(found: list[dict[str, Any]]) -> None:
    (rows, first), (others, _) = (each["drawn"] for each in found)
    assert torch.equal(rows, others)
    assert torch.equal(rows[:, 0], first)
    owners = [[tuple(row) in {tuple(r) for r in each["own"][:3].tolist()} for each in found] for row in rows.tolist()]
    assert owners == [[True, False], [False, True]] * 2 + [[True, False]]


def test_two_processes_average_gradients_and_agree_on_the_first_ones_weights(found: list[dict[str, Any]]) -> None:
    assert torch.equal(same(found, "gradient"), torch.full((1, 2), 0.5))
    assert torch.equal(same(found, "agreed"), torch.full((1, 2), 1.0))


def test_the_first_process_holds_the_states_of_both(found: list[dict[str, Any]]) -> None:
    assert found[1]["others"] is None
    (other,) = found[0]["others"]
    assert torch.equal(other["own"], found[1]["own"])
    assert (other["number"], other["text"]) == (1, "xx")
    assert torch.equal(found[0]["alone"]["own"], found[0]["own"])


def test_a_state_of_two_processes_is_refused_by_one(found: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="2 processes, as many as saved the checkpoint"):
        own_state({"own": 1, OTHERS: [{"own": 2}]})
