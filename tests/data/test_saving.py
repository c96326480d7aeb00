"""Demonstrations written for other libraries are read by them, and come back."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError

Equal = Callable[[Demonstrations, Demonstrations], None]
TARGETS = {"npz": "out.npz", "hdf5": "out.hdf5", "minari": "toy-v3", "imitation": "out"}


@pytest.fixture
def recorded(demonstrations: Demonstrations) -> Demonstrations:
    noted = {"seed": 3, "action_low": [-1.0, -1.0], "action_high": [1.0, 1.0], "env_kwargs": {"x": [1, 2]}}
    return replace(demonstrations, metadata=noted, env_id="Toy-v0")


@pytest.mark.parametrize("format", TARGETS)
@pytest.mark.parametrize("with_rewards", [True, False])
def test_every_format_that_is_written_comes_back(
    recorded: Demonstrations, tmp_path: Path, assert_equal: Equal, format: str, with_rewards: bool
) -> None:
    for package in ("h5py", "minari", "datasets"):
        pytest.importorskip(package)
    given = recorded if with_rewards else replace(recorded, rewards=None, episode_returns=None)
    path = tmp_path / TARGETS[format]
    given.save(path, format=format)
    given.save(path, format=format)  # what is there of its kind is replaced
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing is left beside it"
    found = Demonstrations.load(path)
    kept = {key: value for key, value in found.metadata.items() if key in given.metadata}
    assert kept == given.metadata
    if with_rewards:
        assert found.episode_returns == pytest.approx(given.episode_returns, rel=1e-6)
        found = replace(found, episode_returns=given.episode_returns)
    assert_equal(replace(found, metadata=given.metadata), given)


@pytest.mark.parametrize("format", TARGETS)
def test_a_relative_path_in_a_folder_that_is_not_there_yet_is_written(
    recorded: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    for package in ("h5py", "minari", "datasets"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    path = Path("new", "folder", TARGETS[format])
    recorded.save(path, format=format)
    assert Demonstrations.load(path).n_episodes == recorded.n_episodes


def test_minari_reads_what_was_written_for_it(
    recorded: Demonstrations, episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    recorded.save(tmp_path / "expert-v2")  # the name says the format
    found = minari.load_dataset("expert-v2")
    assert (found.total_episodes, found.total_steps) == (3, 15)
    assert (found.env_spec.id, found.env_spec.kwargs) == ("Toy-v0", {"x": [1, 2]})
    assert found.action_space.high.tolist() == [1.0, 1.0]
    for theirs, ours in zip(found.iterate_episodes(), episodes, strict=True):
        assert np.allclose(theirs.observations, ours.observations)
        assert np.allclose(theirs.rewards, ours.rewards)
        assert theirs.terminations[-1] == ours.terminated
        assert theirs.truncations[-1] != ours.terminated


def test_datasets_reads_what_was_written_for_imitation(
    recorded: Demonstrations, episodes: list[Episode], tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    recorded.save(tmp_path / "out", format="imitation")
    found = datasets.load_from_disk(str(tmp_path / "out"))
    assert set(found.column_names) == {"obs", "acts", "infos", "terminal", "rews"}
    for theirs, ours in zip(found, episodes, strict=True):
        assert np.allclose(theirs["obs"], ours.observations)
        assert len(theirs["infos"]) == len(theirs["acts"]) == len(theirs["rews"])
        assert json.loads(theirs["infos"][-1]) == {"TimeLimit.truncated": not ours.terminated}


@pytest.mark.parametrize("format", ["hdf5", "minari", "imitation"])
def test_subsampled_demonstrations_are_refused_by_formats_of_whole_episodes(
    demonstrations: Demonstrations, tmp_path: Path, format: str
) -> None:
    with pytest.raises(InputError, match=r"whole episodes for .*; got . of the . steps of episode 0"):
        demonstrations.every(2).save(tmp_path / TARGETS[format], format=format)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_says_no_format_and_a_folder_of_something_else_are_refused(
    demonstrations: Demonstrations, tmp_path: Path
) -> None:
    pytest.importorskip("minari")
    with pytest.raises(InputError, match=r"a name that ends in \.npz"):
        demonstrations.save(tmp_path / "out")
    (tmp_path / "mine-v0").mkdir()
    (tmp_path / "mine-v0" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="which holds something else"):
        demonstrations.save(tmp_path / "mine-v0")
    assert (tmp_path / "mine-v0" / "letter.txt").read_text() == "dear"


def test_a_folder_that_cannot_be_finished_leaves_the_old_one(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = pytest.importorskip("minari.dataset.minari_storage")
    demonstrations.save(tmp_path / "toy-v0")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.MinariStorage, "update_metadata", fail)
    with pytest.raises(OSError, match="No space"):
        demonstrations.first(1).save(tmp_path / "toy-v0")
    assert Demonstrations.load(tmp_path / "toy-v0").n_episodes == 3
    assert [each.name for each in tmp_path.iterdir()] == ["toy-v0"]


def test_episodes_are_the_inverse_of_joining_them(demonstrations: Demonstrations, episodes: list[Episode]) -> None:
    for ours, theirs in zip(demonstrations.episodes(), episodes, strict=True):
        assert np.allclose(ours.observations, theirs.observations)
        assert np.allclose(ours.actions, theirs.actions)
        assert ours.terminated == theirs.terminated
