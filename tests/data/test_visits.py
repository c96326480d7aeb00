"""Visits count every state once, in the cell where it is."""

import io
from math import pi

import numpy as np
import pytest

from rlgen.data import Visits
from rlgen.data.visits import Axis, axes_within
from rlgen.errors import InputError

PLANE = (Axis(name="x", columns=(0,), width=0.5), Axis(name="y", columns=(1,), width=1.0))
UNBOUNDED = np.full(4, -np.inf), np.full(4, np.inf)
BOX = (
    Axis(name="x", columns=(0,), width=0.5, low=-1.0, high=1.0),
    Axis(name="y", columns=(1,), width=1.0, low=0.0, high=3.0),
)


def counted(axes: tuple[Axis, ...], *batches: np.ndarray) -> Visits:
    visits = Visits(axes)
    for batch in batches:
        visits.add(np.asarray(batch, dtype=np.float32))
    return visits


def as_dict(visits: Visits) -> dict[tuple[int, ...], int]:
    return {tuple(cell): int(count) for cell, count in zip(visits.cells, visits.counts, strict=True)}


def test_states_are_counted_in_the_cells_they_lie_in() -> None:
    states = [[0.1, 0.1], [0.4, 0.9], [0.5, 0.0], [-0.1, -0.1]]
    assert as_dict(counted(PLANE, states)) == {(0, 0): 2, (1, 0): 1, (-1, -1): 1}


def test_it_does_not_matter_in_which_portions_states_are_counted() -> None:
    states = np.random.default_rng(0).normal(size=(500, 3))
    whole, parts = counted(PLANE, states), counted(PLANE, states[300:], states[:1], states[1:300])
    assert as_dict(whole) == as_dict(parts)
    assert whole.counts.sum() == 500


def test_beyond_the_ends_of_an_axis_is_the_outermost_cell() -> None:
    visits = counted(BOX, [[-9, -9], [9, 9], [1.0, 3.0]])
    assert as_dict(visits) == {(0, 0): 1, (3, 2): 2}
    assert visits.totals() == [4, 3]
    assert visits.share == pytest.approx(2 / 12)


def test_a_grid_without_ends_has_no_share() -> None:
    assert counted(PLANE, [[0, 0]]).share is None


def test_angles_are_counted_around_the_circle() -> None:
    axis = Axis(name="angle", columns=(1, 2), width=pi / 4, low=-pi, high=pi)
    angles = np.array([-0.9 * pi, -0.1, 0.1, 0.9 * pi])
    states = np.stack([np.zeros(4), np.sin(angles), np.cos(angles)], axis=1)
    assert as_dict(counted((axis,), states)) == {(0,): 1, (3,): 1, (4,): 1, (7,): 1}


def test_states_that_are_no_numbers_are_left_out() -> None:
    assert as_dict(counted(PLANE, [[np.nan, 0], [np.inf, 0], [0, 0]])) == {(0, 0): 1}
    assert as_dict(counted(PLANE, [[np.nan, 0]])) == {}


def test_a_width_that_is_not_given_is_a_round_number_for_fifty_cells() -> None:
    axes = axes_within(*UNBOUNDED)
    visits = counted(axes, [[0, 0, 7, 7], [75, 0.001, 7, 7]], [[1e4, 5, 7, 7]])
    np.testing.assert_allclose(visits.widths, [2, 2e-5])
    assert counted(axes, [[1, 1, 1, 1]]).widths.tolist() == [1, 1]


def test_the_file_holds_everything_and_no_pickle(tmp_path) -> None:
    visits = counted(BOX, [[0.3, 0.1], [0.3, 0.1], [-0.9, 2]])
    visits.first_reward_step = 40
    path = tmp_path / "visits.npz"
    path.write_bytes(visits.to_bytes())
    found = Visits.read(path)
    assert (found.axes, as_dict(found), found.first_reward_step) == (BOX, as_dict(visits), 40)
    with np.load(io.BytesIO(counted(PLANE).to_bytes()), allow_pickle=False) as arrays:
        assert int(arrays["first_reward_step"]) == -1
        assert arrays["cells"].shape == (0, 2)
    with pytest.raises(InputError, match="train explore"):
        Visits.read(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "incomplete", "one array"])
def test_a_damaged_file_is_refused_by_its_name(damage: str, tmp_path) -> None:
    path = tmp_path / "visits.npz"
    whole = counted(BOX, np.random.default_rng(0).normal(size=(200, 2))).to_bytes()
    middle = len(whole) // 2
    contents = {"cut": whole[:middle], "empty": b"", "text": b"no archive"}
    contents["flipped"] = whole[:60] + bytes(255 - byte for byte in whole[60:middle]) + whole[middle:]
    if damage == "incomplete":
        np.savez(path, names=np.array(["x"]))
    elif damage == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes(contents[damage])
    with pytest.raises(InputError, match=r"complete file of visits at .*visits\.npz"):
        Visits.read(path)


def test_a_number_that_never_changes_is_one_cell() -> None:
    axes = axes_within(np.array([3.0, -1.0]), np.array([3.0, 1.0]))
    assert as_dict(counted(axes, [[3, -1], [3, -1], [3, 1]])) == {(3, 0): 2, (3, 49): 1}


def test_visits_go_on_from_their_state() -> None:
    states = np.random.default_rng(1).normal(size=(60, 2))
    axes = axes_within(*UNBOUNDED)
    whole, first = counted(axes, states[:30], states[30:]), counted(axes, states[:30])
    second = Visits(axes)
    second.load_state_dict(first.state_dict())
    second.add(states[30:].astype(np.float32))
    assert as_dict(second) == as_dict(whole)


def test_runs_together_are_counted_on_their_widest_cells() -> None:
    axes = axes_within(*UNBOUNDED)
    fine, coarse = counted(axes, [[0, 0], [50, 50]]), counted(axes, [[0, 0], [98, 100]])
    coarse.first_reward_step = 7
    together = Visits.together([fine, Visits(axes), coarse])
    np.testing.assert_allclose(together.widths, [2, 2])
    assert as_dict(together) == {(0, 0): 2, (25, 25): 1, (49, 50): 1}
    assert together.first_reward_step == 7
    assert as_dict(fine) == {(0, 0): 1, (50, 50): 1}, "as it was"


def test_visits_of_other_tasks_are_not_put_together() -> None:
    with pytest.raises(InputError, match="runs of one task"):
        Visits.together([Visits(PLANE), Visits(BOX)])


def test_cells_keep_their_order_and_sign_however_far_out() -> None:
    visits = counted(PLANE, [[1e30, -1e30], [-1e30, 1e30], [-2.4, 3], [2.4, -3], [2.4, -3]])
    far = 2**31 - 1
    assert visits.cells.tolist() == [[-far, far], [-5, 3], [4, -3], [far, -far]]
    assert visits.counts.tolist() == [1, 1, 2, 1]
