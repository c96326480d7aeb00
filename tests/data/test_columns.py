"""Every column of every reader is of the kind it must be, or the file and the key are named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode
from rlgen.data.columns import column, matrix, text
from rlgen.errors import InputError

ROW = np.dtype([("x", "f4")])
BEYOND = np.array([ord("a"), 2**31], np.uint32).view("U2")[0]
"""A character after the last one, as a damaged file holds it."""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("flag", ["False", "True"]),
        ("flag", [0.0, np.nan]),
        ("flag", [0.3, 1.0]),
        ("flag", [3, 3]),
        ("count", [0.9, 1.0]),
        ("count", [2**32 + 1, 2]),
        ("count", [-1, 0]),
        ("count", [np.nan, 1.0]),
        ("count", [True, False]),
        ("number", ["1", "2"]),
        ("number", [1j, 2j]),
        ("number", np.array(["2020-01-01", "2021-01-01"], "M8[D]")),
        ("number", np.zeros(2, ROW)),
        ("number", np.array([None, 1.0], object)),
        ("number", [[1.0], [1.0, 2.0]]),
        ("number", np.zeros((2, 2))),
        ("number", 1.0),
    ],
)
def test_a_column_of_another_kind_is_refused_by_its_name(kind: Any, values: Any) -> None:
    with pytest.raises(InputError, match=r"^expected .*'it'.*; got .* in ant\.npz; "):
        column(values, kind, 1, "it", "ant.npz")


def test_kinds_are_kept_and_whole_floats_are_counts() -> None:
    assert column([1.0, 3.0], "count", 1, "it", "here").tolist() == [1, 3]
    assert column([0, 1], "flag", 1, "it", "here").tolist() == [False, True]
    assert column(np.zeros((3, 1), np.float32), "number", 1, "it", "here").shape == (3,)
    assert np.isnan(column([np.nan, 1.0], "number", 1, "it", "here")[0])
    assert column(np.ones(2, np.longdouble), "number", 1, "it", "here").dtype == np.float64
    assert int(column(np.float64(2), "count", 0, "it", "here")) == 2


def test_windows_are_flattened_and_one_value_is_no_matrix() -> None:
    window = np.arange(30.0).reshape(2, 5, 3)
    assert np.array_equal(matrix(window, "it", "here"), window.reshape(2, 15))
    with pytest.raises(InputError, match="a single value"):
        matrix(np.float32(1), "it", "here")


@pytest.mark.parametrize("value", [np.array(5), np.array(["a", "b"]), None, b"\xff", BEYOND])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="a text under 'env_id'"):
        text(value, "env_id", "here")


EPISODES_NPZ = {"lengths": np.array([5, 3, 7]), "terminated": np.array([False, True, False])}


def joined(episodes: list[Episode]) -> dict[str, Any]:
    return {
        "obs": np.concatenate([episode.observations for episode in episodes]),
        "acts": np.concatenate([episode.actions for episode in episodes]),
        "rews": np.concatenate([np.asarray(episode.rewards) for episode in episodes]),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"terminated": np.array(["False"] * 3)},
        {"terminated": np.array([0.3, 0, 0])},
        {"terminated": np.array(True)},
        {"lengths": np.array([5.5, 3, 6.5])},
        {"lengths": np.array(15)},
        {"lengths": np.array(["5", "3", "7"])},
        {"rews": np.ones(15) * 1j},
        {"rews": np.zeros(15, "M8[D]")},
        {"obs": np.array(3.0)},
        {"acts": np.zeros(15, ROW)},
        {"env_id": np.array(7)},
    ],
)
def test_an_npz_of_episodes_with_a_wrong_kind_is_refused(
    episodes: list[Episode], tmp_path: Path, wrong: dict[str, Any]
) -> None:
    path = tmp_path / "full.npz"
    np.savez(path, **{**joined(episodes), **EPISODES_NPZ, **wrong})
    with pytest.raises(InputError, match=rf"{next(iter(wrong))}.*full\.npz"):
        Demonstrations.load(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"indices": np.array(5)},
        {"indices": np.array(["5", "8"])},
        {"terminal": np.array(["False"] * 3)},
        {"acts": np.array(1.0)},
    ],
)
def test_an_npz_of_imitation_with_a_wrong_kind_is_refused(
    episodes: list[Episode], tmp_path: Path, wrong: dict[str, Any]
) -> None:
    path = tmp_path / "old.npz"
    np.savez(path, **{**joined(episodes), "indices": np.array([5, 8]), "terminal": np.ones(3, bool), **wrong})
    with pytest.raises(InputError, match=r"old\.npz"):
        Demonstrations.load(path, time_limit=7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"t": np.full(15, 2**32)},
        {"traj": np.array(["0"] * 15)},
        {"traj": np.zeros((15, 1, 1))},
        {"stride": np.array(1.9)},
        {"stride": np.array([1])},
        {"terminated": np.full(15, np.nan)},
        {"lengths": np.array([5.0, 3.0, np.inf])},
    ],
)
def test_an_npz_of_pairs_with_a_wrong_kind_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    columns = {"obs": demonstrations.observations, "acts": demonstrations.actions, "traj": demonstrations.episode}
    columns |= {"next_obs": demonstrations.next_observations, "terminated": demonstrations.terminated}
    columns |= {"t": demonstrations.step, "lengths": demonstrations.episode_lengths, "stride": np.array(1)}
    np.savez(tmp_path / "pairs.npz", **{**columns, **wrong})
    with pytest.raises(InputError, match=rf"'{next(iter(wrong))}'.*pairs\.npz"):
        Demonstrations.load(tmp_path / "pairs.npz")


@pytest.mark.parametrize(
    "wrong",
    [
        {"stride": np.array(np.nan)},
        {"stride": np.array([1])},
        {"format_version": np.array("1")},
        {"format_version": np.array(1j)},
        {"episode": np.full(15, 2**32)},
        {"step": np.full(15, 0.9)},
        {"episode_lengths": np.array([5, 3, 2**32 + 7])},
        {"metadata": np.array("null")},
        {"metadata": np.array("[]")},
        {"metadata": np.array("[" * 100_000)},
        {"env_id": np.array(3)},
        {"next_is_following_row": np.array("x")},
        {"rewards": np.array(["1"] * 15)},
        {"observations": np.array(1.0)},
        {"episode_returns": np.array([100.0, 1.0, 1.0], np.float32)},
    ],
)
def test_an_own_file_with_a_wrong_kind_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    demonstrations.save(tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as file:
        np.savez(tmp_path / "wrong.npz", **{**file, **wrong})
    with pytest.raises(InputError, match=rf"'{next(iter(wrong))}'.*wrong\.npz"):
        Demonstrations.load(tmp_path / "wrong.npz")


@pytest.mark.parametrize("metadata", [None, [], 3, "x"])
def test_metadata_without_names_is_refused(demonstrations: Demonstrations, metadata: Any) -> None:
    with pytest.raises(InputError, match="metadata by name"):
        replace(demonstrations, metadata=metadata)


def test_returns_that_are_not_those_of_the_rewards_are_refused(demonstrations: Demonstrations) -> None:
    assert demonstrations.episode_returns is not None
    other = demonstrations.episode_returns * np.float32(2)
    with pytest.raises(InputError, match=r"the sum of its rewards, .*, as the return of episode 0; got"):
        replace(demonstrations, episode_returns=other)
    part = demonstrations.every(2)
    assert replace(part, episode_returns=other).episode_returns is not None, "not all rewards are there to be summed"


def test_rewards_that_nobody_knows_are_none(
    demonstrations: Demonstrations, assert_equal: Callable[[Demonstrations, Demonstrations], None]
) -> None:
    unknown = replace(demonstrations, rewards=np.full(15, np.nan), episode_returns=np.full(3, np.nan))
    assert_equal(unknown, replace(demonstrations, rewards=None, episode_returns=None))
