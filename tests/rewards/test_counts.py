"""Bonuses of counted states and of what is new in an episode, against counting by hand."""

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import (
    EpisodicEllipse,
    EpisodicEllipseConfig,
    FirstVisitCounts,
    FirstVisitCountsConfig,
    StateCounts,
    StateCountsConfig,
    TaskShape,
)

SHAPE = TaskShape(observation_size=2, action_size=1, n_envs=2)


def arrived(rows: torch.Tensor, ended: torch.Tensor | None = None) -> Transitions:
    no = torch.zeros(len(rows), dtype=torch.bool)
    return Transitions(torch.zeros_like(rows), torch.zeros(len(rows), 1), rows, no if ended is None else ended, no)


def spread(n: int = 512, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def cells_by_hand(rows: torch.Tensor, first: torch.Tensor, width: float) -> list[tuple[int, ...]]:
    """Boxes in standard deviations of the first rollout, with the normalizer's floor of 2 % of their median."""
    std = first.std(0, correction=0)
    unit = std + 0.02 * std.sort().values[0]
    return [tuple(row) for row in ((rows - first.mean(0)) / unit / width).floor().int().tolist()]


def test_the_bonus_is_one_over_the_root_of_the_visits_to_the_box() -> None:
    torch.manual_seed(0)
    source, rollouts = StateCounts(SHAPE), [spread(seed=seed) for seed in range(3)]
    for rows in rollouts:
        source.update(arrived(rows))
    counts = Counter(cell for rows in rollouts for cell in cells_by_hand(rows, rollouts[0], 0.5))
    batch = spread(seed=9)
    expected = [max(1, counts[cell]) ** -0.5 for cell in cells_by_hand(batch, rollouts[0], 0.5)]
    close = np.isclose(source.reward(arrived(batch)).numpy(), expected)
    assert close.mean() > 0.99, "all but rows at an edge"
    assert len(counts) > 50


@pytest.mark.parametrize(("floor", "least", "most"), [(0.02, 4, 8), (1e-4, 14, 20)])
def test_a_number_that_varies_little_has_its_own_cells_without_the_floor(floor: float, least: int, most: int) -> None:
    torch.manual_seed(0)
    rows = torch.randn(4096, 3) * torch.tensor([100.0, 100.0, 1.0])
    source = StateCounts(TaskShape(observation_size=3, action_size=1, n_envs=2), StateCountsConfig(floor=floor))
    source.update(arrived(rows))
    third = torch.zeros(4096, 3)
    third[:, 2] = rows[:, 2]
    assert least <= len(source._cells(third).unique()) <= most


def test_cells_need_a_floor_above_zero() -> None:
    with pytest.raises(InputError, match="floor"):
        StateCountsConfig(floor=0)


def test_cells_stay_where_they_are() -> None:
    torch.manual_seed(0)
    source = StateCounts(SHAPE)
    source.update(arrived(spread()))
    before = source._cells(spread(seed=3))
    source.update(arrived(100 * spread(seed=1) + 50))
    assert torch.equal(source._cells(spread(seed=3)), before)


def test_places_that_were_never_seen_are_worth_one() -> None:
    torch.manual_seed(0)
    source = StateCounts(SHAPE)
    for seed in range(20):
        source.update(arrived(spread(seed=seed)))
    for place in ([30.0, 0.0], [0.0, -300.0], [5e3, 5e3]):
        far = spread(seed=9) + torch.tensor(place)
        assert float(source.reward(arrived(far)).mean()) > 0.97  # cells may share a number
    assert float(source.reward(arrived(spread(seed=9))).mean()) < 0.2


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_only_an_episodes_first_visit_to_a_box_is_rewarded(power: float) -> None:
    torch.manual_seed(0)
    source = FirstVisitCounts(SHAPE, FirstVisitCountsConfig(width=1.0, power=power))
    rollouts = [spread(60, seed) for seed in range(3)]
    ended = torch.rand(3, 60, generator=torch.Generator().manual_seed(4)) < 0.1
    counts: Counter = Counter()
    visited: list[set] = [set(), set()]
    for rows, over in zip(rollouts, ended, strict=True):
        batch = arrived(rows, over)
        source.update(batch)
        cells = cells_by_hand(rows, rollouts[0], 1.0)
        counts.update(cells)
        expected = []
        for step, cell in enumerate(cells):
            of_episode = visited[step % 2]
            expected.append(0.0 if cell in of_episode else counts[cell] ** -power)
            of_episode.add(cell)
            if over[step]:
                of_episode.clear()
        np.testing.assert_allclose(source.reward(batch).numpy(), expected, rtol=1e-6)
    assert 0 < sum(value == 0 for value in expected) < 60


def ellipse_by_hand(rows: np.ndarray, ended: np.ndarray, ridge: float) -> np.ndarray:
    """[T] of one environment, with the inverse computed at each step."""
    matrix, found = ridge * np.eye(rows.shape[1]), []
    for row, over in zip(rows, ended, strict=True):
        found.append(row @ np.linalg.inv(matrix) @ row)
        matrix = matrix + np.outer(row, row)
        if over:
            matrix = ridge * np.eye(rows.shape[1])
    return np.array(found)


def test_the_elliptical_bonus_is_that_of_the_matrix_of_the_episode() -> None:
    source = EpisodicEllipse(SHAPE, EpisodicEllipseConfig(unit="none", highest=None, ridge=0.5))
    ended = torch.rand(2, 60, generator=torch.Generator().manual_seed(4)) < 0.1
    paid, rows = [], []
    for part in range(2):
        batch = arrived(spread(60, part), ended[part])
        source.update(batch)
        paid.append(source.reward(batch))
        normalized = source.observations(spread(60, part))
        rows.append(torch.cat([normalized, torch.ones(60, 1)], 1))
    found = torch.stack(paid).reshape(-1, 2).numpy()
    features, over = torch.cat(rows).view(-1, 2, 3).double().numpy(), ended.reshape(-1, 2).numpy()
    for env in range(2):
        expected = ellipse_by_hand(features[:, env], over[:, env], 0.5)
        np.testing.assert_allclose(found[:, env], expected, rtol=2e-3)


def test_what_an_episode_repeats_is_worth_less_and_less() -> None:
    source = EpisodicEllipse(SHAPE, EpisodicEllipseConfig(unit="none", highest=None))
    batch = arrived(torch.ones(40, 2))
    source.update(batch)
    of_one = source.reward(batch)[::2]
    assert (of_one.diff() < 0).all()
    np.testing.assert_allclose(
        of_one[5:].numpy(), 1 / (torch.arange(5, 20) + 0.1 / float(of_one[0] * 0.1)).numpy(), rtol=0.01
    )


@pytest.mark.parametrize("kind", [EpisodicEllipse, FirstVisitCounts])
def test_a_bonus_within_episodes_needs_whole_rollouts(kind: type) -> None:
    source = kind(SHAPE)
    with pytest.raises(InputError, match="whole rollouts"):
        source.update(arrived(spread(7)))
    source.update(arrived(spread(8)))
    with pytest.raises(InputError, match="the rollout that it was updated with"):
        source.reward(arrived(spread(8)))


@pytest.mark.parametrize("kind", [StateCounts, FirstVisitCounts, EpisodicEllipse])
def test_a_source_that_was_saved_goes_on_alike_and_bad_rows_spoil_nothing(kind: type) -> None:
    torch.manual_seed(0)
    source, other = kind(SHAPE), kind(SHAPE)
    for seed in range(3):
        rows = spread(seed=seed)
        rows[3, 1] = torch.nan
        source.update(arrived(rows))
    other.load_state_dict(deepcopy(source.state_dict()))
    paid = []
    for each in (source, other):
        batch = arrived(spread(seed=7))
        each.update(batch)
        paid.append(each.reward(batch))
    torch.testing.assert_close(paid[0], paid[1], rtol=0, atol=0)
    assert torch.isfinite(paid[0]).all()


@pytest.mark.parametrize("wrong", [{"bits": 0}, {"bits": 40}, {"width": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        StateCountsConfig(**wrong)
    with pytest.raises(InputError):
        EpisodicEllipseConfig(ridge=0.0)
    with pytest.raises(InputError):
        FirstVisitCountsConfig(power=-0.5)
