"""Files of other libraries are recognized by what they hold and read, or called by their true name."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode, formats
from rlgen.errors import InputError

h5py = pytest.importorskip("h5py")


def write_robomimic(path: Path, episodes: list[Episode], *, with_next: bool = True, env_type: int = 1) -> Path:
    """The first observation number under `z`, the others under `a`: by name, `a` comes first."""
    with h5py.File(path, "w") as file:
        for number in (2, 0, 1):
            episode, group = episodes[number], file.create_group(f"data/demo_{number}")
            for name, seen in (("obs", episode.observations[:-1]), ("next_obs", episode.observations[1:])):
                if name == "obs" or with_next:
                    group[f"{name}/z"], group[f"{name}/a"] = seen[:, 0], seen[:, 1:]
            group["actions"], group["rewards"] = episode.actions, episode.rewards
            group["dones"] = (np.arange(len(episode.actions)) == len(episode.actions) - 1).astype(np.int64)
        args = {"env_name": "Toy-v0", "type": env_type, "env_kwargs": {"x": 1}}
        file["data"].attrs["env_args"] = json.dumps(args)
    return path


def test_robomimic_joins_observations_by_the_order_of_their_names(
    episodes: list[Episode], demonstrations: Demonstrations, tmp_path: Path
) -> None:
    path = write_robomimic(tmp_path / "low_dim.hdf5", episodes, env_type=2)
    assert formats.detect(path) == "robomimic"
    found = Demonstrations.load(path, time_limit=7)
    assert np.array_equal(found.observations, demonstrations.observations[:, [1, 2, 0]])
    assert np.array_equal(found.next_observations, demonstrations.next_observations[:, [1, 2, 0]])
    assert np.array_equal(found.actions, demonstrations.actions)
    assert found.truncated.nonzero()[0].tolist() == [14], "dones say nothing of a time limit, the argument does"
    assert (found.env_id, found.metadata["env_kwargs"]) == ("Toy-v0", {"x": 1})
    assert found.metadata["observation_keys"] == ["a", "z"]


def test_robomimic_without_next_observations_drops_each_last_row(
    episodes: list[Episode], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        found = Demonstrations.load(write_robomimic(tmp_path / "low_dim.hdf5", episodes, with_next=False))
    assert np.bincount(found.episode).tolist() == [4, 2, 6]
    assert found.episode_lengths.tolist() == [5, 3, 7]
    assert "the last row of each of its 3 episodes is dropped" in caplog.text
    assert found.ended_by_task.tolist() == [True, True, True], "marked alike, and of different lengths"
    assert (found.env_id, found.metadata["environment"]) == (None, "Toy-v0"), "robosuite's names are no Gymnasium ids"


@pytest.mark.parametrize("damage", ["missing", "wider"])
def test_robomimic_s_episodes_of_other_columns_are_named(episodes: list[Episode], tmp_path: Path, damage: str) -> None:
    path = write_robomimic(tmp_path / "low_dim.hdf5", episodes)
    with h5py.File(path, "r+") as file:
        del file["data/demo_1/rewards"]
        if damage == "wider":
            file["data/demo_1/rewards"] = np.zeros(3)
            file["data/demo_1/next_obs/b"] = np.zeros((3, 2))
    with pytest.raises(InputError, match=r"widths in every episode, .* as in demo_0; got .* in demo_1"):
        Demonstrations.load(path)


def test_robomimic_s_images_and_raw_states_are_called_so(episodes: list[Episode], tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / "image.hdf5", episodes)
    with h5py.File(path, "a") as file:
        file["data/demo_0/obs/camera"] = np.zeros((5, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="images under 'camera'"):
        Demonstrations.load(path)
    with h5py.File(path, "a") as file:
        del file["data/demo_0/obs"]
    with pytest.raises(InputError, match="dataset_states_to_obs"):
        Demonstrations.load(path)


@pytest.mark.parametrize("group", ["", "_meta/"])
def test_tianshou_s_buffer_is_read_from_its_oldest_row(
    demonstrations: Demonstrations, tmp_path: Path, group: str
) -> None:
    path = tmp_path / "buffer.hdf5"
    names = {"obs": "observations", "act": "actions", "rew": "rewards", "obs_next": "next_observations"}
    names |= {"terminated": "terminated", "truncated": "truncated"}
    with h5py.File(path, "w") as file:
        for theirs, ours in names.items():
            file[group + theirs] = np.roll(getattr(demonstrations, ours), 4, axis=0)
        file.attrs["_size"], file.attrs["_index"], file.attrs["buffer_num"] = 15, 4, 1
    assert formats.detect(path) == "tianshou"
    found = Demonstrations.load(path)
    for ours in names.values():
        assert np.array_equal(getattr(found, ours), getattr(demonstrations, ours)), ours
    with h5py.File(path, "a") as file:
        file.attrs["_size"], file.attrs["_index"] = 8, 8
    assert len(Demonstrations.load(path)) == 8, "a buffer that is not full"
    with h5py.File(path, "a") as file:
        file.attrs["buffer_num"] = 3
    with pytest.raises(InputError, match="a buffer of 3 in"):
        Demonstrations.load(path)


def padded(arrays: list[Any]) -> np.ndarray:
    out = np.full((len(arrays), 7, *np.shape(arrays[0])[1:]), 9.0)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def test_openai_imitation_s_padding_is_cut_off(
    episodes: list[Episode], demonstrations: Demonstrations, tmp_path: Path
) -> None:
    path = tmp_path / "trajs.h5"
    with h5py.File(path, "w") as file:
        file["obs_B_T_Do"] = padded([episode.observations[:-1] for episode in episodes])
        file["a_B_T_Da"] = padded([episode.actions for episode in episodes])
        file["r_B_T"], file["len_B"] = padded([episode.rewards for episode in episodes]), np.array([5, 3, 7])
    assert formats.detect(path) == "openai-imitation"
    found = Demonstrations.load(path)
    kept = np.setdiff1d(np.arange(15), [4, 7, 14])
    assert np.array_equal(found.observations, demonstrations.observations[kept])
    assert np.array_equal(found.next_observations, demonstrations.next_observations[kept])
    assert found.episode_returns == pytest.approx(demonstrations.episode_returns, rel=1e-5)
    with h5py.File(path, "a") as file:
        file["len_B"][0] = 8
    with pytest.raises(InputError, match="lengths of 1 to 7 steps; got 3 of 3 to 8"):
        Demonstrations.load(path)


def test_baselines_and_stable_baselines_are_read(demonstrations: Demonstrations, tmp_path: Path) -> None:
    first = demonstrations.first(1)
    returns, starts = first.episode_returns, first.step == 0
    np.savez(
        tmp_path / "mujoco.npz",
        obs=first.observations[None],
        acs=first.actions[None],
        rews=first.rewards[None],  # type: ignore[index]
        ep_rets=returns,  # type: ignore[arg-type]
    )
    columns = {"obs": demonstrations.observations, "actions": demonstrations.actions, "rewards": demonstrations.rewards}
    columns |= {"episode_starts": demonstrations.step == 0, "episode_returns": demonstrations.episode_returns}
    np.savez(tmp_path / "sb2.npz", **columns)  # type: ignore[arg-type]
    for name, whole in (("mujoco.npz", first), ("sb2.npz", demonstrations)):
        assert formats.detect(tmp_path / name) == "baselines"
        found = Demonstrations.load(tmp_path / name)
        kept = whole.step < whole.episode_lengths[whole.episode] - 1
        assert np.array_equal(found.observations, whole.observations[kept])
        assert np.array_equal(found.next_observations, whole.next_observations[kept])
        assert found.episode_returns == pytest.approx(whole.episode_returns)
    assert starts.sum() == 1
    np.savez(tmp_path / "sb2.npz", **{**columns, "episode_returns": np.ones(3)})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the sum of its rewards"):
        Demonstrations.load(tmp_path / "sb2.npz")


def test_an_unknown_layout_of_hdf5_is_shown_and_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["traj_0/obs"] = np.zeros((3, 2))
    with pytest.raises(InputError, match=r"got traj_0 in .*other\.h5, which is ManiSkill's trajectories"):
        Demonstrations.load(path)
    with h5py.File(path, "w") as file:
        file["states"] = np.zeros((3, 2))
    with pytest.raises(InputError, match=r"a known layout of HDF5 \(minari: .*; got states in"):
        Demonstrations.load(path)


def test_a_model_is_called_a_model(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "policy.zip", "w") as archive:
        archive.writestr("policy.pth", b"")
        archive.writestr("data", b"{}")
    with pytest.raises(InputError, match="a model saved by Stable-Baselines3: play it with rlgen demos record"):
        Demonstrations.load(tmp_path / "policy.zip")


def test_a_time_limit_that_a_format_has_no_use_for_is_said(
    demonstrations: Demonstrations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    demonstrations.save(tmp_path / "ours.npz")
    with caplog.at_level(logging.WARNING, "rlgen"):
        Demonstrations.load(tmp_path / "ours.npz", time_limit=7)
    assert "the 7 given is not used" in caplog.text


def test_minari_in_arrow_and_boxes_of_two_dimensions_are_read(episodes: list[Episode], tmp_path: Path) -> None:
    pytest.importorskip("minari")
    from gymnasium.spaces import Box
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    window = Box(-9, 9, (3, 1), np.float64)
    expected = Demonstrations.from_episodes(episodes)
    for data_format in ("arrow", "hdf5"):
        (tmp_path / data_format).mkdir()
        storage = MinariStorage.new(
            tmp_path / data_format / "data", window, Box(-1, 1, (2,), np.float64), data_format=data_format
        )
        storage.update_episodes(
            EpisodeBuffer(
                observations=episode.observations[:, :, None],  # type: ignore[arg-type]
                actions=episode.actions,  # type: ignore[arg-type]
                rewards=episode.rewards,  # type: ignore[arg-type]
                terminations=[False] * (len(episode.actions) - 1) + [episode.terminated],
                truncations=[False] * (len(episode.actions) - 1) + [not episode.terminated],
            )
            for episode in episodes
        )
        found = Demonstrations.load(tmp_path / data_format)
        for name in ("observations", "actions", "next_observations", "rewards", "terminated", "truncated"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert found.metadata["action_high"] == [1.0, 1.0]


def test_images_that_minari_keeps_as_jpeg_are_not_taken_for_numbers(tmp_path: Path) -> None:
    space = {"type": "Box", "dtype": "uint8", "shape": [8, 8, 3], "low": 0, "high": 255}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text(json.dumps({"observation_space": json.dumps(space)}))
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "w") as file:
        file["episode_0/observations"] = np.zeros((3, 50), np.uint8)
        file["episode_0/actions"], file["episode_0/rewards"] = np.zeros((2, 1)), np.zeros(2)
        file["episode_0/terminations"] = np.zeros(2, bool)
    with pytest.raises(InputError, match="images that Minari stores as JPEG are not read"):
        Demonstrations.load(tmp_path)
