"""What an agent of MiniGrid carries and stands before is read from its view."""

import numpy as np
import pytest

from rlgen.data.cells import OBJECTS, ObjectsFaced, ahead, carried, object_name, shows_cells
from rlgen.data.words import COLORS
from rlgen.envs import make_vec

LEFT, RIGHT, FORWARD, PICKUP, DROP = 0, 1, 2, 3, 4
WALL, BALL, KEY = (2, 5, 0), (6, 0, 0), (5, 2, 0)


def view_of(own: tuple[int, int, int], front: tuple[int, int, int]) -> np.ndarray:
    view = np.ones((7, 7, 3), np.uint8)
    view[3, 6], view[3, 5] = own, front
    return view


def test_codes_are_those_of_minigrid() -> None:
    constants = pytest.importorskip("minigrid.core.constants")
    assert {constants.IDX_TO_OBJECT[code]: code for code in OBJECTS} == {name: code for code, name in OBJECTS.items()}
    assert [constants.COLOR_TO_IDX[color] for color in COLORS] == list(range(len(COLORS)))


def test_the_view_shows_what_the_task_knows() -> None:
    pytest.importorskip("minigrid")
    env, random, found = make_vec("BabyAI-PickupLoc-v0", 2, seed=1), np.random.default_rng(0), set()
    env.reset()
    assert shows_cells(env.observation_space)
    for _ in range(200):
        seen, _, dones, infos = env.step(random.choice([LEFT, RIGHT, FORWARD, FORWARD, PICKUP, DROP], 2))
        for index, each in enumerate(env.envs):
            inner = each.unwrapped
            front = inner.grid.get(*inner.front_pos)
            names = [
                f"{it.color} {it.type}" if it and it.type in OBJECTS.values() else "" for it in (inner.carrying, front)
            ]
            view = seen["image"][index]
            assert [object_name(carried(view)), object_name(ahead(view))] == names
            found |= {bool(name) for name in names}
            if dones[index]:
                assert infos[index]["terminal_observation"]["image"].shape == (7, 7, 3)
    assert found == {True, False}


def test_walls_and_nothing_are_no_objects() -> None:
    assert [object_name(np.array(cell)) for cell in (WALL, (1, 0, 0), (0, 0, 0), BALL, KEY)] == [
        *("", "", ""),
        *("red ball", "blue key"),
    ]


def test_the_last_object_counts_until_the_episode_ends() -> None:
    faced = ObjectsFaced(2)
    nothing = (1, 0, 0)
    for front in (BALL, KEY, WALL):
        faced.see(np.stack([view_of(nothing, front), view_of(nothing, nothing)]))
    assert faced.end(1, view_of(BALL, nothing)) == ("red ball", "")
    assert faced.end(0, view_of(nothing, nothing)) == ("", "blue key")
    assert faced.end(0, view_of(nothing, nothing)) == ("", ""), "the next episode starts with none"
    assert faced.end(0, view_of(nothing, BALL)) == ("", "red ball"), "the last view counts"


def test_pictures_and_other_shapes_are_no_cells() -> None:
    assert not shows_cells(make_vec("CartPole-v1", 1).observation_space)
