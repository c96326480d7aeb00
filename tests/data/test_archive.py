"""The archive of reached states: which it keeps, how they are chosen, and the way back to them."""

from collections import Counter

import numpy as np
import pytest

from rlgen.data.archive import Archive, Reached
from rlgen.data.visits import Axis
from rlgen.errors import InputError
from rlgen.runs.state_tree import decode, encode

AXES = (Axis(name="x", columns=(0,), width=0.5), Axis(name="y", columns=(1,), width=1.0, low=0.0, high=3.0))


def reached(cell: tuple[int, int], steps: int, reward: float = 0.0, origin: int = -1, moves: int = 2) -> Reached:
    place = np.array(cell, np.float32)
    return Reached(
        cell=cell,
        origin=origin,
        actions=np.full((moves, 1), steps, np.float32),
        state={"place": place},
        steps=steps,
        reward=reward,
        transition=(place - 1, np.ones(1, np.float32), place),
    )


def filled() -> Archive:
    archive = Archive(AXES)
    start = archive.add_start({"place": np.zeros(2, np.float32)})
    archive.add(reached((0, 0), 0, origin=start, moves=0))
    archive.add(reached((1, 0), 10, origin=archive.nodes[0]))
    archive.add(reached((2, 0), 20, origin=archive.nodes[1]))
    return archive


def test_cells_count_from_zero_or_from_the_lower_end() -> None:
    observations = np.array([[0.0, 0.0], [0.6, 2.5], [-0.1, 9.0], [0.49, -5.0]])
    np.testing.assert_array_equal(Archive(AXES).cells_of(observations), [[0, 0], [1, 2], [-1, 2], [0, 0]])


@pytest.mark.parametrize(
    ("steps", "reward", "kept"), [(9, 0.0, True), (10, 0.0, False), (30, 1.0, True), (5, -1.0, False)]
)
def test_a_cell_keeps_the_state_of_most_reward_and_then_of_fewest_steps(steps: int, reward: float, kept: bool) -> None:
    archive = filled()
    assert archive.improves((1, 0), reward, steps) is kept
    assert archive.add(reached((1, 0), steps, reward, archive.nodes[0])) is kept
    assert archive.entries[archive.cells[1, 0]].steps == (steps if kept else 10)
    assert len(archive) == 3


def test_a_path_is_that_of_the_burst_even_after_its_origin_has_improved() -> None:
    archive = filled()
    end = archive.nodes[archive.cells[2, 0]]
    assert archive.path(end)[0] == 0
    np.testing.assert_array_equal(archive.path(end)[1].ravel(), [10, 10, 20, 20])
    archive.add(reached((1, 0), 4, origin=archive.nodes[0]))
    np.testing.assert_array_equal(archive.path(end)[1].ravel(), [10, 10, 20, 20])
    np.testing.assert_array_equal(archive.path(archive.nodes[archive.cells[1, 0]])[1].ravel(), [4, 4])


def test_cells_that_were_chosen_seldom_are_chosen_next() -> None:
    archive, rng = filled(), np.random.default_rng(0)
    archive.chosen = [99, 99, 0]
    counts = Counter(archive.choose(rng, 1, 100.0)[0] for _ in range(300))
    assert counts[2] > counts[0]
    assert sum(archive.chosen) == 198 + 300
    archive = filled()
    expected = 1 / np.sqrt(1 + np.array([3, 0, 8]))
    drawn = Counter()
    for _ in range(4000):
        archive.chosen = [3, 0, 8]
        drawn.update(archive.choose(rng, 1, 100.0))
    np.testing.assert_allclose([drawn[i] / 4000 for i in range(3)], expected / expected.sum(), atol=0.03)


def test_states_at_the_time_limit_and_states_without_worth_are_not_chosen() -> None:
    archive, rng = filled(), np.random.default_rng(0)
    assert set(archive.choose(rng, 50, 20.0)) <= {0, 1}
    assert set(archive.choose(rng, 50, 100.0, np.array([0.0, 1.0, 0.0]))) == {1}
    assert len(set(archive.choose(rng, 50, 100.0, np.zeros(3)))) == 3, "worth that is 0 everywhere says nothing"
    with pytest.raises(InputError, match="before the time limit"):
        archive.choose(rng, 1, 0.0)


def test_the_best_have_rewards() -> None:
    archive = filled()
    assert archive.best(3) == []
    for cell, steps, reward in (((3, 0), 30, 1.0), ((4, 0), 40, 2.0), ((5, 0), 35, 1.0), ((6, 0), 28, 1.0)):
        archive.add(reached(cell, steps, reward, archive.nodes[2]))
    assert [each.cell for each, _ in archive.best(3)] == [(4, 0), (6, 0), (3, 0)]
    archive.add_end(reached((7, 0), 60, 2.0, archive.nodes[2]))
    archive.add_end(reached((7, 0), 50, 2.0, archive.nodes[2]))
    archive.add_end(reached((8, 0), 10, 0.0, archive.nodes[2]))
    assert [(each.cell, each.steps) for each, _ in archive.best(4)] == [
        ((4, 0), 40),
        ((7, 0), 50),
        ((7, 0), 60),
        ((6, 0), 28),
    ]
    np.testing.assert_array_equal(archive.path(archive.best(2)[1][1])[1].ravel()[-2:], [50, 50])


def test_an_archive_that_was_saved_goes_on_alike() -> None:
    archive, other = filled(), Archive(AXES)
    archive.add_end(reached((9, 1), 50, 2.0, archive.nodes[2]))
    archive.choose(np.random.default_rng(1), 7, 100.0)
    other.load_state_dict(decode(*encode(archive.state_dict())))
    assert other.cells == archive.cells
    assert other.choose(np.random.default_rng(3), 9, 100.0) == archive.choose(np.random.default_rng(3), 9, 100.0)
    for node in range(3):
        start, actions = other.path(node)
        assert start == archive.path(node)[0]
        np.testing.assert_array_equal(actions, archive.path(node)[1])
    for mine, theirs in zip(other.transitions(), archive.transitions(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [node for _, node in other.best(3)] == [node for _, node in archive.best(3)]
    np.testing.assert_array_equal(other.entries[2].state["place"], archive.entries[2].state["place"])


def test_axes_need_widths() -> None:
    with pytest.raises(InputError, match="axes of given widths"):
        Archive([Axis(name="x", columns=(0,))])
