import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError
from rlgen.rewards.early_ends import share_ended_by_task


def write_minari(folder: Path, episodes: list[Episode]) -> Path:
    h5py = pytest.importorskip("h5py")
    (folder / "data").mkdir(parents=True)
    with h5py.File(folder / "data" / "main_data.hdf5", "w") as file:
        for number in (2, 0, 1):  # the order of writing is not the order of episodes
            episode, group = episodes[number], file.create_group(f"episode_{number}")
            last = np.arange(len(episode.actions)) == len(episode.actions) - 1
            group["observations"], group["actions"] = episode.observations, episode.actions
            group["rewards"] = episode.rewards
            group["terminations"], group["truncations"] = last & episode.terminated, last & (not episode.terminated)
    spec = json.dumps({"id": "Toy-v0", "kwargs": {}})
    (folder / "data" / "metadata.json").write_text(json.dumps({"env_spec": spec, "dataset_id": "toy/expert-v0"}))
    return folder


def test_a_minari_folder_is_read(
    episodes: list[Episode], demonstrations: Demonstrations, tmp_path: Path, assert_equal: Callable[..., None]
) -> None:
    folder = write_minari(tmp_path / "set", episodes)
    for path in (folder, folder / "data", folder / "data" / "main_data.hdf5"):
        found = Demonstrations.load(path)
        assert_equal(replace(found, metadata=demonstrations.metadata), demonstrations)
    assert found.metadata["minari_id"] == "toy/expert-v0"


def test_a_minari_id_on_this_disk_is_read(
    episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    write_minari(tmp_path / "toy" / "expert-v0", episodes)
    for name in ("toy/expert-v0", "minari:toy/expert-v0"):
        found = Demonstrations.load(name)
        assert (found.env_id, found.source, found.metadata["minari_id"]) == ("Toy-v0", name, "toy/expert-v0")
    with pytest.raises(InputError, match="rlgen demos fetch minari:toy/novice-v0"):
        Demonstrations.load("toy/novice-v0")
    for wrong in ("minari:toy/expert", "minari:../expert-v0", "minari:"):
        with pytest.raises(InputError, match="expected the id of a Minari data set"):
            Demonstrations.load(wrong)


def test_dictionaries_are_refused_by_formats_of_one_array(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "buffer.hdf5", "w") as file:
        file["obs/goal"] = np.zeros((3, 2))
        file["act"], file["terminated"] = np.zeros((3, 1)), np.zeros(3, bool)
    with pytest.raises(InputError, match=r"one array under 'obs'; got a group of goal in .*; use rlgen's \.npz"):
        Demonstrations.load(tmp_path / "buffer.hdf5")


def write_d4rl(path: Path, demonstrations: Demonstrations, *without: str) -> Path:
    h5py = pytest.importorskip("h5py")
    columns = {name: getattr(demonstrations, name) for name in ("observations", "actions", "rewards")}
    columns["next_observations"] = demonstrations.next_observations
    columns |= {"terminals": demonstrations.terminated, "timeouts": demonstrations.truncated}
    with h5py.File(path, "w") as file:
        for key in columns.keys() - set(without):
            file[key] = columns[key]
    return path


def test_a_d4rl_file_is_read(demonstrations: Demonstrations, tmp_path: Path, assert_equal: Callable[..., None]) -> None:
    found = Demonstrations.load(write_d4rl(tmp_path / "d4rl.hdf5", demonstrations))
    assert np.allclose(found.episode_returns, demonstrations.episode_returns, rtol=1e-6)  # type: ignore[arg-type]
    same = {"env_id": "Toy-v0", "metadata": demonstrations.metadata, "episode_returns": demonstrations.episode_returns}
    assert_equal(replace(found, **same), demonstrations)  # type: ignore[arg-type]


def test_a_d4rl_file_without_next_observations_never_borrows_the_next_episode_s(
    demonstrations: Demonstrations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        found = Demonstrations.load(write_d4rl(tmp_path / "d4rl.hdf5", demonstrations, "next_observations"))
    assert np.bincount(found.episode).tolist() == [4, 2, 6]
    assert found.episode_lengths.tolist() == [5, 3, 7]
    assert (found.next_observations[:, 0] == found.observations[:, 0]).all()
    assert "the last row of each of its 3 episodes is dropped" in caplog.text
    assert found.ended_by_task.tolist() == demonstrations.ended_by_task.tolist()
    assert 0 < found.ended_by_task.sum() < 3
    kept = found.first(2).every(2)
    assert kept.ended_by_task.tolist() == demonstrations.ended_by_task.tolist()[:2]
    assert share_ended_by_task(kept) == share_ended_by_task(demonstrations.first(2))
    for each, whole in ((found, demonstrations), (kept, demonstrations.first(2))):
        assert each.summary().terminated == whole.summary().terminated
        assert each.summary().truncated == whole.summary().truncated


def test_a_d4rl_file_without_timeouts_needs_the_time_limit(demonstrations: Demonstrations, tmp_path: Path) -> None:
    two = demonstrations.first(2)
    path = write_d4rl(tmp_path / "d4rl.hdf5", two, "timeouts")
    with pytest.raises(InputError, match=r"'timeouts'.*rlgen demos convert .* --time-limit"):
        Demonstrations.load(path)
    assert Demonstrations.load(path, time_limit=5).truncated.tolist() == two.truncated.tolist()


def test_columns_of_different_lengths_are_named(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "d4rl.hdf5", demonstrations, "rewards")
    import h5py

    with h5py.File(path, "a") as file:
        file["rewards"] = np.zeros(3)
    with pytest.raises(InputError, match=r"15 rows under every key.*3 rewards"):
        Demonstrations.load(path)


def test_a_d4rl_file_without_actions_names_the_key(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "d4rl.hdf5", demonstrations, "actions")
    with pytest.raises(InputError, match="expected the key 'actions'"):
        Demonstrations.load(path)


def test_a_cut_hdf5_file_is_named(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "d4rl.hdf5", demonstrations)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"a complete HDF5 file; got .*d4rl\.hdf5"):
        Demonstrations.load(path)
