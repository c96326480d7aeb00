"""The same three short episodes as a file of every format that rlgen reads."""

import json
from dataclasses import replace
from pathlib import Path

import datasets
import h5py
import numpy as np

from rlgen.data import Demonstrations, Episode

from .world import ENV

LENGTHS = (4, 2, 4)


def episodes() -> list[Episode]:
    """Three short ones: two at a time limit, and a fall between them."""
    rng = np.random.default_rng(0)
    return [
        Episode(
            observations=rng.normal(size=(steps + 1, 3)).astype(np.float32),
            actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
            rewards=rng.normal(size=steps).astype(np.float32),
            terminated=number == 1,
        )
        for number, steps in enumerate(LENGTHS)
    ]


def demonstrations() -> Demonstrations:
    """The same by row."""
    return Demonstrations.from_episodes(episodes(), env_id=ENV, metadata={"by": "tests", "nested": {"a": [1, None]}})


def _joined() -> dict[str, np.ndarray]:
    every = episodes()
    return {
        "obs": np.concatenate([episode.observations for episode in every]),
        "acts": np.concatenate([episode.actions for episode in every]),
        "rews": np.concatenate([episode.rewards for episode in every if episode.rewards is not None]),
    }


def write_rlgen(folder: Path) -> None:
    demonstrations().save(folder / "demos.npz")


def _of_dictionaries() -> Demonstrations:
    """The same with an image and a direction beside the vector."""
    rng = np.random.default_rng(1)
    every = [
        replace(
            episode,
            observations={
                "view": rng.integers(0, 256, (steps + 1, 5, 5, 3), dtype=np.uint8),
                "direction": rng.integers(0, 4, steps + 1),
                "vector": episode.observations,
            },
        )
        for episode, steps in zip(episodes(), LENGTHS, strict=True)
    ]
    return Demonstrations.from_episodes(every, env_id=ENV)


def write_rlgen_dictionaries(folder: Path) -> None:
    _of_dictionaries().save(folder / "demos.npz")


def write_d4rl_dictionaries(folder: Path) -> None:
    _of_dictionaries().save(folder / "demos.hdf5")


def write_episodes(folder: Path) -> None:
    ends = {"lengths": np.array(LENGTHS), "terminated": np.array([False, True, False]), "env_id": np.array(ENV)}
    np.savez(folder / "demos.npz", **_joined(), **ends)


def write_pairs(folder: Path) -> None:
    rows = demonstrations().every(2, seed=0)
    columns = {"obs": rows.observations, "acts": rows.actions, "next_obs": rows.next_observations, "rews": rows.rewards}
    columns |= {"terminated": rows.terminated, "traj": rows.episode, "t": rows.step, "returns": rows.episode_returns}
    columns |= {"lengths": rows.episode_lengths, "stride": np.array(2), "env_id": np.array(ENV)}
    np.savez(folder / "demos.npz", **{key: column for key, column in columns.items() if column is not None})


def write_imitation(folder: Path) -> None:
    ends = {"indices": np.cumsum(LENGTHS)[:-1], "terminal": np.array([True] * 3)}
    np.savez(folder / "demos.npz", **_joined(), **ends)


def write_minari(folder: Path) -> None:
    data = folder / "demos" / "data"
    data.mkdir(parents=True)
    described = {"env_spec": json.dumps({"id": ENV, "kwargs": {}}), "dataset_id": "fuzz/world-v0"}
    with h5py.File(data / "main_data.hdf5", "w") as file:
        file.attrs["total_episodes"] = len(LENGTHS)
        for number, episode in enumerate(episodes()):
            group, last = file.create_group(f"episode_{number}"), np.arange(LENGTHS[number]) == LENGTHS[number] - 1
            group.attrs["seed"], group.attrs["options"] = number, "{}"
            group["observations"], group["actions"] = episode.observations, episode.actions
            group["rewards"] = episode.rewards
            group["terminations"], group["truncations"] = last & episode.terminated, last & (not episode.terminated)
        for key, value in described.items():
            file.attrs[key] = value
    (data / "metadata.json").write_text(json.dumps({**described, "total_steps": sum(LENGTHS), "data_format": "hdf5"}))


def write_d4rl(folder: Path) -> None:
    rows = demonstrations()
    with h5py.File(folder / "demos.hdf5", "w") as file:
        file["observations"], file["actions"], file["rewards"] = rows.observations, rows.actions, rows.rewards
        file["next_observations"] = rows.next_observations
        file["terminals"], file["timeouts"] = rows.terminated, rows.truncated
        file["metadata/algorithm"] = "SAC"


def write_hugging_face(folder: Path) -> None:
    every = episodes()
    infos = [["{}"] * (len(e.actions) - 1) + [json.dumps({"TimeLimit.truncated": not e.terminated})] for e in every]
    columns = {"obs": [e.observations for e in every], "acts": [e.actions for e in every]}
    columns |= {"rews": [e.rewards for e in every], "terminal": [True] * 3, "infos": infos}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns).save_to_disk(folder / "demos")
    for name in ("state.json", "dataset_info.json"):
        described = json.loads((folder / "demos" / name).read_text())
        (folder / "demos" / name).write_text(json.dumps({**described, "_fingerprint": "0123456789abcdef"}))


def write_robomimic(folder: Path) -> None:
    with h5py.File(folder / "demos.hdf5", "w") as file:
        for number, episode in enumerate(episodes()):
            group = file.create_group(f"data/demo_{number}")
            group["obs/position"], group["obs/goal"] = episode.observations[:-1, :2], episode.observations[:-1, 2:]
            group["next_obs/position"], group["next_obs/goal"] = (
                episode.observations[1:, :2],
                episode.observations[1:, 2:],
            )
            group["actions"], group["rewards"] = episode.actions, episode.rewards
            group["dones"] = np.arange(LENGTHS[number]) == LENGTHS[number] - 1
            group.attrs["num_samples"] = LENGTHS[number]
        file["data"].attrs["env_args"] = json.dumps({"env_name": ENV, "type": 2, "env_kwargs": {}})


def write_tianshou(folder: Path) -> None:
    rows = demonstrations()
    with h5py.File(folder / "demos.hdf5", "w") as file:
        file["obs"], file["act"], file["rew"], file["obs_next"] = (
            *(rows.observations, rows.actions),
            *(rows.rewards, rows.next_observations),
        )
        file["terminated"], file["truncated"], file["done"] = rows.terminated, rows.truncated, rows.terminated
        file.attrs["_size"], file.attrs["_index"], file.attrs["maxsize"] = len(rows), 0, len(rows)


def write_openai_imitation(folder: Path) -> None:
    shape = (len(LENGTHS), max(LENGTHS))
    padded = {"obs_B_T_Do": np.zeros((*shape, 3)), "a_B_T_Da": np.zeros((*shape, 2)), "r_B_T": np.zeros(shape)}
    for number, episode in enumerate(episodes()):
        padded["obs_B_T_Do"][number, : LENGTHS[number]] = episode.observations[:-1]
        padded["a_B_T_Da"][number, : LENGTHS[number]] = episode.actions
        padded["r_B_T"][number, : LENGTHS[number]] = episode.rewards
    with h5py.File(folder / "demos.h5", "w") as file:
        for key, array in padded.items():
            file[key] = array
        file["len_B"] = np.array(LENGTHS)


def write_baselines(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(2, 4))
    columns = {"obs": rng.normal(size=(2, 4, 3)), "acs": rng.normal(size=(2, 4, 2)), "rews": rewards}
    np.savez(folder / "demos.npz", **columns, ep_rets=rewards.sum(axis=1))


def write_stable_baselines(folder: Path) -> None:
    rows = demonstrations()
    columns = {"obs": rows.observations, "actions": rows.actions, "rewards": rows.rewards}
    columns |= {"episode_returns": rows.episode_returns, "episode_starts": rows.step == 0}
    np.savez(folder / "demos.npz", **{key: column for key, column in columns.items() if column is not None})
