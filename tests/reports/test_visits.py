"""Maps of visits: one for each training, on the same axes, in the same colors."""

import io
from pathlib import Path

import numpy as np
import pytest

from rlgen.data import Visits
from rlgen.data.visits import VISITS, Axis
from rlgen.errors import InputError
from rlgen.reports.panels import DARK, LIGHT
from rlgen.reports.visits import MOST_CELLS, draw_visits, has_visits, visit_maps, visits_png

PLANE = (Axis(name="x [m]", columns=(0,), width=0.5), Axis(name="y [m]", columns=(1,), width=1.0))


def visits_of(states: list, axes: tuple[Axis, ...] = PLANE) -> Visits:
    visits = Visits(axes)
    visits.add(np.array(states, dtype=np.float32))
    return visits


def run_of(path: Path, states: list, axes: tuple[Axis, ...] = PLANE) -> Path:
    path.mkdir()
    (path / VISITS).write_bytes(visits_of(states, axes).to_bytes())
    return path


def test_maps_share_the_rectangle_that_holds_all_visits() -> None:
    one, two = visit_maps([visits_of([[0, 0], [0, 0], [0.6, 0]]), visits_of([[-0.4, 3.5]])])
    np.testing.assert_allclose(one.share[:, 0], [0, 2 / 3, 1 / 3])
    assert two.share[0, 3] == 1
    for found in (one, two):
        assert found.share.shape == (3, 4)
        np.testing.assert_allclose([found.low, found.high], [[-0.5, 0], [1.0, 4.0]])


def test_an_axis_from_its_low_end_is_drawn_at_its_place() -> None:
    axis = Axis(name="x", columns=(0,), width=0.5, low=-2.0, high=2.0)
    (found,) = visit_maps([visits_of([[-1.9], [-1.1]], (axis,))])
    assert found.share.shape == (2, 1)
    np.testing.assert_allclose([found.low[0], found.high[0]], [-2.0, -1.0])


def test_one_state_far_away_does_not_shrink_the_map() -> None:
    (found,) = visit_maps([visits_of([*[[x % 10, 0] for x in range(3000)], [1e6, 0]])])
    assert found.share.shape[0] <= MOST_CELLS
    assert found.share.sum() == pytest.approx(1, abs=1e-3)


def test_visits_of_several_seeds_add_up(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / str(seed), [[seed, 0], [0, 0]]) for seed in range(2)]
    figure = visits_png({"all": runs})
    assert figure == visits_png({"all": [run_of(tmp_path / "sum", [[0, 0], [0, 0], [1, 0], [0, 0]])]})


def test_a_figure_for_every_theme(tmp_path: Path) -> None:
    from PIL import Image

    runs = {"PPO": run_of(tmp_path / "a", [[0, 0]]), "PPO + VIME": run_of(tmp_path / "b", [[0, 0], [3, 2], [3, 2]])}
    light, dark = (visits_png(runs, theme) for theme in (LIGHT, DARK))
    assert light != dark
    with Image.open(io.BytesIO(light)) as picture:
        assert picture.size == (1080, 450)
    path = draw_visits(runs, tmp_path / "visits.png", title="Exploration")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_training_that_has_only_begun_is_drawn(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert not has_visits(run)
    (run / VISITS).write_bytes(Visits(PLANE).to_bytes())
    assert has_visits(run)
    assert visits_png({"": run}).startswith(b"\x89PNG")


def test_requests_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    other = (Axis(name="z", columns=(0,), width=1.0),)
    for runs in (
        {},
        {"": []},
        {"": tmp_path / "empty"},
        {"a": run_of(tmp_path / "a", [[0, 0]]), "b": run_of(tmp_path / "b", [[0, 0]], other)},
    ):
        with pytest.raises(InputError):
            visits_png(runs)
