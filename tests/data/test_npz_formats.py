import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode, formats
from rlgen.errors import InputError


def test_unknown_arrays_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", states=np.zeros(3))
    with pytest.raises(InputError, match=r"got states in .*other\.npz; rename"):
        Demonstrations.load(tmp_path / "other.npz")


def test_a_missing_key_is_named_when_the_format_is_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "part.npz", obs=np.zeros((3, 1)), acts=np.zeros((2, 1)))
    with pytest.raises(InputError, match="without lengths, terminated"):
        Demonstrations.load(tmp_path / "part.npz", format="episodes")


def test_a_path_where_nothing_lies_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which does not exist"):
        Demonstrations.load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match=r"a format among auto, rlgen, .*; got 'csv'"):
        Demonstrations.load(tmp_path / "absent.npz", format="csv")
    with pytest.raises(InputError, match="which holds neither"):
        Demonstrations.load(tmp_path)


def joined(episodes: list[Episode]) -> dict[str, np.ndarray]:
    rewards = [episode.rewards for episode in episodes if episode.rewards is not None]
    return {
        "obs": np.concatenate([episode.observations for episode in episodes]),
        "acts": np.concatenate([episode.actions for episode in episodes]),
        "rews": np.concatenate(rewards),
    }


def test_whole_episodes_are_read_from_npz(
    episodes: list[Episode], demonstrations: Demonstrations, tmp_path: Path, assert_equal: Callable[..., None]
) -> None:
    ends = {"lengths": np.array([5, 3, 7]), "terminated": np.array([False, True, False]), "env_id": np.array("Toy-v0")}
    np.savez(tmp_path / "full.npz", **joined(episodes), **ends)
    found = Demonstrations.load(tmp_path / "full.npz")
    assert_equal(replace(found, metadata=demonstrations.metadata), demonstrations)


def test_lengths_that_do_not_add_up_name_the_key(episodes: list[Episode], tmp_path: Path) -> None:
    ends = {"lengths": np.array([5, 3, 6]), "terminated": np.array([False, True, False])}
    np.savez(tmp_path / "full.npz", **joined(episodes), **ends)
    with pytest.raises(InputError, match=r"expected 14 rows under 'acts' .*; got 15 in"):
        Demonstrations.load(tmp_path / "full.npz")


def test_subsampled_pairs_are_read_from_npz(
    demonstrations: Demonstrations, tmp_path: Path, assert_equal: Callable[..., None]
) -> None:
    kept = demonstrations.every(2, seed=1)
    columns = {"obs": kept.observations, "acts": kept.actions, "next_obs": kept.next_observations}
    columns |= {"terminated": kept.terminated, "traj": kept.episode, "t": kept.step, "lengths": kept.episode_lengths}
    assert kept.episode_returns is not None
    np.savez(tmp_path / "every2.npz", **columns, returns=kept.episode_returns, stride=2, env_id=np.array("Toy-v0"))
    found = Demonstrations.load(tmp_path / "every2.npz")
    assert_equal(replace(found, metadata=kept.metadata), replace(kept, rewards=None))


def test_imitation_npz_is_read_without_its_pickled_infos(
    episodes: list[Episode], tmp_path: Path, payload: object, mark: Path, caplog: pytest.LogCaptureFixture
) -> None:
    infos = np.array([payload] * 15, object)
    ends = {"indices": np.array([5, 8]), "terminal": np.array([True, True, True])}
    np.savez(tmp_path / "old.npz", **joined(episodes), **ends, infos=infos)
    with caplog.at_level(logging.WARNING, "rlgen"):
        found = Demonstrations.load(tmp_path / "old.npz")
    assert not mark.exists()
    assert found.episode_lengths.tolist() == [5, 3, 7]
    assert "demos convert --time-limit" in caplog.text
    assert found.terminated.sum() == 3, "one longest episode alone is no sign of a time limit"


def test_a_time_limit_given_tells_falls_from_time_limits_in_imitation_files(
    episodes: list[Episode], tmp_path: Path
) -> None:
    ends = {"indices": np.array([5, 8]), "terminal": np.array([True, True, True])}
    np.savez(tmp_path / "old.npz", **joined(episodes), **ends)
    found = Demonstrations.load(tmp_path / "old.npz", time_limit=7)
    assert found.terminated.nonzero()[0].tolist() == [4, 7]
    assert found.truncated.nonzero()[0].tolist() == [14]


def test_several_longest_episodes_of_an_imitation_file_count_as_time_limits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    columns = {"obs": np.zeros((4 + 3 + 4, 1)), "acts": np.zeros((3 + 2 + 3, 1))}
    np.savez(tmp_path / "old.npz", **columns, indices=np.array([3, 5]), terminal=np.ones(3, bool))
    with caplog.at_level(logging.WARNING, "rlgen"):
        found = Demonstrations.load(tmp_path / "old.npz")
    assert found.terminated.nonzero()[0].tolist() == [4]
    assert "the 2 longest, of 3 steps" in caplog.text


@pytest.mark.parametrize("with_infos", [True, False])
def test_an_imitation_folder_tells_time_limits_in_its_infos(
    episodes: list[Episode], demonstrations: Demonstrations, tmp_path: Path, with_infos: bool
) -> None:
    datasets = pytest.importorskip("datasets")
    infos = [["{}"] * (len(e.actions) - 1) + [json.dumps({"TimeLimit.truncated": not e.terminated})] for e in episodes]
    columns = {"obs": [e.observations for e in episodes], "acts": [e.actions for e in episodes]}
    columns |= {"rews": [e.rewards for e in episodes], "terminal": [True] * 3}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns | ({"infos": infos} if with_infos else {})).save_to_disk(tmp_path / "folder")
    found = Demonstrations.load(tmp_path / "folder")
    assert np.array_equal(found.observations, demonstrations.observations)
    assert np.array_equal(found.actions, demonstrations.actions)
    expected = demonstrations.terminated if with_infos else demonstrations.terminated | demonstrations.truncated
    assert found.terminated.tolist() == expected.tolist()


@pytest.mark.parametrize("missing", ["h5py", "pyarrow"])
def test_a_missing_optional_package_is_named(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    path = tmp_path / "file"
    if missing == "h5py":
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
    else:
        path.mkdir()
        (path / "state.json").write_text('{"_data_files": [{"filename": "part.arrow"}]}')
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=rf"the package {missing}.*pip install {missing}$"):
        Demonstrations.load(path)


def test_every_real_file_is_recognized_and_survives_the_own_format(
    shared_data: Path, tmp_path: Path, assert_equal: Callable[..., None]
) -> None:
    for name, kind in (("Ant-v5_every20.npz", "pairs"), ("HalfCheetah-v5_full.npz", "episodes")):
        path = shared_data / "demos" / name
        assert formats.detect(path) == kind
        found = Demonstrations.load(path)
        found.save(tmp_path / name)
        assert formats.detect(tmp_path / name) == "rlgen"
        assert_equal(Demonstrations.load(tmp_path / name), found)
