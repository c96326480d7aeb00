"""Demonstrations of images and dictionaries: held once, kept as they are, written and read."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError

LENGTHS = (5, 3, 7)
IMAGE = (40, 36, 3)  # Minari would make JPEGs of them


def observations(kind: str, rows: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (rows, *IMAGE), dtype=np.uint8)
    if kind == "image":
        return image
    return {"view": image, "speed": rng.normal(size=(rows, 2)), "facing": rng.integers(0, 4, rows)}


@pytest.fixture(params=["image", "dictionary"])
def seen(request: pytest.FixtureRequest) -> list[Episode]:
    return [
        Episode(
            observations=observations(request.param, steps + 1, steps),
            actions=np.arange(steps)[:, None] % 3,
            rewards=np.arange(steps),
            terminated=steps == 3,
        )
        for steps in LENGTHS
    ]


@pytest.fixture
def shown(seen: list[Episode]) -> Demonstrations:
    return Demonstrations.from_episodes(seen, env_id="Toy-v0", metadata={"seed": 3})


def parts(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {"": values}


def test_each_row_has_its_next_observation_and_every_frame_is_held_once(
    shown: Demonstrations, seen: list[Episode]
) -> None:
    for name, rows in parts(shown.observations).items():
        following = parts(shown.next_observations)[name]
        given = [
            parts(episode.observations)[name].reshape(len(episode.actions) + 1, *rows.shape[1:]) for episode in seen
        ]
        expected = np.concatenate([each[1:] for each in given]).astype(rows.dtype)
        assert np.array_equal(rows, np.concatenate([each[:-1] for each in given]).astype(rows.dtype))
        assert np.array_equal(np.asarray(following), expected)
        assert np.array_equal(following[4:6], expected[4:6])
        assert np.array_equal(following[3, ..., 0], expected[3, ..., 0])
        assert np.shares_memory(rows, following.store)
        assert len(following.store) == sum(LENGTHS) + len(LENGTHS)
        assert not rows.flags.writeable


def test_images_keep_their_type_and_shape_and_other_entries_are_vectors(shown: Demonstrations) -> None:
    found = {name: (str(rows.dtype), rows.shape[1:]) for name, rows in parts(shown.observations).items()}
    if "" in found:
        assert found == {"": ("uint8", IMAGE)}
    else:
        assert found == {"facing": ("int64", (1,)), "speed": ("float32", (2,)), "view": ("uint8", IMAGE)}
    assert f"uint8 {list(IMAGE)}" in repr(shown)


def test_two_separate_arrays_are_joined_where_they_are_equal(shown: Demonstrations) -> None:
    apart = {key: {name: np.array(rows) for name, rows in parts(getattr(shown, key)).items()} for key in BOTH}
    found = replace(shown, **{key: each.get("", each) for key, each in apart.items()})
    assert found.fingerprint == shown.fingerprint
    for rows in parts(found.next_observations).values():
        assert len(rows.store) == sum(LENGTHS) + len(LENGTHS)


BOTH = ("observations", "next_observations")


def test_cuts_keep_rows_with_their_next_observations(shown: Demonstrations) -> None:
    def place(each: Demonstrations) -> np.ndarray:
        return 100 * each.episode + each.step

    for cut in (shown.first(2), shown.every(2), shown.every(7)):
        rows = np.isin(place(shown), place(cut))
        for key, (name, array) in itertools.product(BOTH, parts(shown.observations).items()):
            whole = np.asarray(parts(getattr(shown, key))[name])
            assert np.array_equal(np.asarray(parts(getattr(cut, key))[name]), whole[rows]), (key, name)
            assert array.dtype == parts(getattr(cut, key))[name].dtype
    assert shown.first(2).fingerprint == Demonstrations.from_episodes(shown.episodes()[:2]).fingerprint
    assert len(next(iter(parts(shown.every(7).next_observations).values())).store) <= 2 * len(shown.every(7))


TARGETS = {"npz": "out.npz", "hdf5": "out.hdf5", "minari": "toy-v3", "imitation": "out"}


@pytest.mark.parametrize("format", TARGETS)
def test_formats_that_hold_them_give_them_back(shown: Demonstrations, tmp_path: Path, format: str) -> None:
    for package in ("h5py", "minari", "datasets"):
        pytest.importorskip(package)
    path = tmp_path / TARGETS[format]
    if format == "imitation" and isinstance(shown.observations, dict):
        with pytest.raises(
            InputError, match=r"holds; got a dictionary \(facing: int64 \[1\].*save them as rlgen's \.npz"
        ):
            shown.save(path, format)
        assert not path.exists()
        return
    shown.save(path, format)
    shown.save(path, format)
    found = Demonstrations.load(path)
    assert found.fingerprint == shown.fingerprint
    assert (found.env_id, found.metadata["seed"], found.stride) == ("Toy-v0", 3, 1)


def test_a_subsampled_recording_comes_back_from_rlgen_s_own_file(shown: Demonstrations, tmp_path: Path) -> None:
    kept = shown.every(2)
    kept.save(tmp_path / "kept.npz")
    assert Demonstrations.load(tmp_path / "kept.npz").fingerprint == kept.fingerprint


def test_no_frame_is_on_disk_twice(shown: Demonstrations, tmp_path: Path) -> None:
    h5py, frames = pytest.importorskip("h5py"), sum(LENGTHS) + len(LENGTHS)
    name = "view" if isinstance(shown.observations, dict) else ""
    for file in ("out.npz", "out.hdf5"):
        shown.save(tmp_path / file)
    with np.load(tmp_path / "out.npz") as file:
        assert [len(file[key]) for key in file.files if file[key].dtype == np.uint8] == [frames]
    with h5py.File(tmp_path / "out.hdf5") as file:
        keys = [f"{key}/{name}".rstrip("/") for key in ("observations", "final_observations")]
        assert sum(len(file[key]) for key in keys) == frames
        assert "next_observations" not in file


def test_minari_reads_what_was_written_for_it(
    shown: Demonstrations, seen: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    shown.save(tmp_path / "toy-v0")
    found = minari.load_dataset("toy-v0")
    assert isinstance(found.observation_space, spaces.Dict if isinstance(shown.observations, dict) else spaces.Box)
    for theirs, ours in zip(found.iterate_episodes(), seen, strict=True):
        for name, rows in parts(ours.observations).items():
            assert np.array_equal(parts(theirs.observations)[name].reshape(rows.shape), rows.astype(np.float32))


def test_minari_s_own_arrow_files_are_read(shown: Demonstrations, seen: list[Episode], tmp_path: Path) -> None:
    """With a space that calls its discrete entry discrete, as Minari's recordings do."""
    storage = pytest.importorskip("minari.dataset.minari_storage")
    buffers = pytest.importorskip("minari.data_collector")
    image = spaces.Box(0, 255, IMAGE, np.uint8)
    space: spaces.Space = image
    if isinstance(shown.observations, dict):
        speed = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        space = spaces.Dict({"view": image, "speed": speed, "facing": spaces.Discrete(4)})
    set_ = storage.MinariStorage.new(
        tmp_path / "data", space, spaces.Box(0, 3, (1,), np.int64), data_format="arrow", jpeg_encoding=False
    )
    last = [np.arange(steps) == steps - 1 for steps in LENGTHS]
    set_.update_episodes(
        buffers.EpisodeBuffer(
            id=number, observations=each.observations, actions=each.actions, rewards=each.rewards,
            terminations=last[number] & each.terminated, truncations=last[number] & (not each.terminated),
        )
        for number, each in enumerate(seen)
    )  # fmt: skip
    assert Demonstrations.load(tmp_path).fingerprint == shown.fingerprint


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_texts_in_minari_s_data_sets_are_left_out_and_told(
    data_format: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = pytest.importorskip("minari.dataset.minari_storage")
    buffers = pytest.importorskip("minari.data_collector")
    space = spaces.Dict({"facing": spaces.Discrete(4), "mission": spaces.Text(20)})
    kept = storage.MinariStorage.new(
        tmp_path / "data", space, spaces.Box(0, 3, (1,), np.int64), data_format=data_format
    )
    seen = {"facing": np.array([0, 1, 2]), "mission": ["go to the door"] * 3}
    ends = np.array([False, True])
    columns = {"actions": np.zeros((2, 1), np.int64), "rewards": np.zeros(2)}
    flags = {"terminations": ends, "truncations": np.zeros(2, bool)}
    kept.update_episodes([buffers.EpisodeBuffer(id=0, observations=seen, **columns, **flags)])
    found = Demonstrations.load(tmp_path)
    assert found.observations["facing"].tolist() == [[0], [1]]
    assert found.observations.keys() == {"facing"}
    assert "the texts under 'mission'" in caplog.text
    assert "FilterObservation(env, ['facing'])" in caplog.text


def test_they_fit_their_task_with_channels_first_or_last_and_no_other(shown: Demonstrations) -> None:
    image, actions = spaces.Box(0, 255, IMAGE, np.uint8), spaces.Discrete(3)
    first = spaces.Box(0, 255, (3, *IMAGE[:2]), np.uint8)
    others = {"speed": spaces.Box(-9, 9, (2,)), "facing": spaces.Discrete(4)}

    def task(view: spaces.Space, **changed: spaces.Space) -> Any:
        whole = spaces.Dict({"view": view, **others, **changed}) if isinstance(shown.observations, dict) else view
        return SimpleNamespace(observation_space=whole, action_space=actions)

    for fitting in (image, first):
        assert shown.validate(task(fitting)) is None
    for wrong in (spaces.Box(0, 255, (40, 40, 3), np.uint8), spaces.Box(0, 1, IMAGE), spaces.Discrete(2)):
        with pytest.raises(InputError, match=r"observations of the environment, .*per row; got .*uint8 \[40, 36, 3\]"):
            shown.validate(task(wrong))
    if isinstance(shown.observations, dict):
        with pytest.raises(InputError, match="whole numbers from 0 to 1 under 'observations/facing'"):
            shown.validate(task(image, facing=spaces.Discrete(2)))
        with pytest.raises(InputError, match=r"observations of the environment, .*wind: float32"):
            shown.validate(task(image, wind=spaces.Box(0, 1, (1,))))


def test_numbers_that_are_not_finite_are_named_with_their_entry() -> None:
    speed = np.zeros((4, 2))
    speed[2, 1] = np.nan
    with pytest.raises(InputError, match="got nan in these episodes, key 'observations/speed', row 2, number 1"):
        Demonstrations.from_episodes([Episode(observations={"speed": speed}, actions=np.zeros((3, 1)))]).validate(
            SimpleNamespace(
                observation_space=spaces.Dict({"speed": spaces.Box(-1, 1, (2,))}), action_space=spaces.Discrete(3)
            )
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "entries with names without '/'"),
        ({"a/b": np.zeros((3, 1))}, "'a/b' in these episodes"),
        ({"a": {"b": np.zeros((3, 1))}}, "flatten nested dictionaries"),
        ({"a": np.zeros((3, 1)), "b": np.zeros((4, 1))}, "3 or 4 observations and 2 actions"),
        ({"text": np.array(["go", "go", "go"])}, "under 'observations/text'"),
    ],
)
def test_dictionaries_of_other_things_are_refused(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Demonstrations.from_episodes([Episode(observations=given, actions=np.zeros((2, 1)))])


def test_episodes_of_different_kinds_are_refused(seen: list[Episode]) -> None:
    other = Episode(observations=np.zeros((3, 2)), actions=np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"observations of one kind.*got float32 \[2\] in episode 3"):
        Demonstrations.from_episodes([*seen, other])


def test_a_damaged_index_is_refused(shown: Demonstrations, tmp_path: Path) -> None:
    shown.save(tmp_path / "shown.npz")
    with np.load(tmp_path / "shown.npz") as file:
        arrays = dict(file)
    for index in (arrays["next_index"] + 99, arrays["next_index"][:-1]):
        np.savez(tmp_path / "wrong.npz", **{**arrays, "next_index": index})
        with pytest.raises(InputError, match=r"next_index|shape"):
            Demonstrations.load(tmp_path / "wrong.npz")


class Lamps(gym.Env):
    """Frame t shows t everywhere; the action is the remainder of t by 3. `kind`: image, dictionary, text or tuple."""

    image = spaces.Box(0, 255, (8, 6, 1), np.uint8)
    action_space = spaces.Discrete(3)

    def __init__(self, kind: str = "image"):
        entries = {"view": self.image, "phase": spaces.Discrete(3), "time": spaces.Box(0, 9, (1, 2), np.float64)}
        whole = {"image": self.image, "dictionary": spaces.Dict(entries), "tuple": spaces.Tuple([self.image])}
        self.observation_space = whole.get(kind, spaces.Dict({**entries, "mission": spaces.Text(9)}))
        self.kind = kind

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observation(), float(action == (self.t - 1) % 3), False, self.t == 4, {}

    def observation(self) -> Any:
        view = np.full(self.image.shape, self.t, np.uint8)
        return view if self.kind == "image" else {"view": view, "phase": self.t % 3, "time": np.full((1, 2), self.t)}


class Counts:
    """Reads the time off the picture."""

    def predict(self, observation: Any, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        view = observation["view"] if isinstance(observation, dict) else observation
        return view.reshape(len(view), -1)[:, -1] % 3, None


@pytest.mark.parametrize("kind", ["image", "dictionary"])
def test_images_and_dictionaries_are_recorded(kind: str, tmp_path: Path) -> None:
    env = DummyVecEnv([lambda: Lamps(kind)] * 2)
    found = Demonstrations.record(Counts(), env, episodes=3)
    found.validate(env)
    view = parts(found.observations)["view" if kind == "dictionary" else ""]
    following = parts(found.next_observations)["view" if kind == "dictionary" else ""]
    assert (view.dtype, view.shape, view.max()) == (np.uint8, (12, 8, 6, 1), 3)
    assert following[:, 0, 0, 0].tolist() == 3 * [1, 2, 3, 4], "the true last observation"
    assert found.episode_returns.tolist() == [4, 4, 4]
    if kind == "dictionary":
        assert found.observations["phase"].tolist() == 3 * [[0], [1], [2], [0]]
        assert found.observations["time"].shape == (12, 2)


def test_stacked_frames_and_frames_with_channels_first_are_recorded_as_the_environment_gives_them() -> None:
    for env in (
        VecFrameStack(DummyVecEnv([Lamps]), 2),
        VecTransposeImage(DummyVecEnv([Lamps])),
        VecTransposeImage(DummyVecEnv([lambda: Lamps("dictionary")])),
    ):
        found = Demonstrations.record(Counts(), env, episodes=2)
        found.validate(env)
        space = (
            env.observation_space["view"] if isinstance(env.observation_space, spaces.Dict) else env.observation_space
        )
        assert (
            parts(found.observations)["view" if isinstance(found.observations, dict) else ""].shape[1:] == space.shape
        )


def test_texts_and_tuples_are_refused_before_anything_is_played() -> None:
    for kind, said in (("text", r"'mission'.*FilterObservation\(env, \['"), ("tuple", "FlattenObservation")):
        env = SimpleNamespace(observation_space=Lamps(kind).observation_space, action_space=Lamps.action_space)
        with pytest.raises(InputError, match=said):
            Demonstrations.record(Counts(), env, episodes=1)


def test_a_summary_says_what_each_entry_is(shown: Demonstrations) -> None:
    found = {each.name: (each.kind, each.shape) for each in shown.summary().entries}
    if "" in found:
        assert found == {"": ("image", IMAGE)}
    else:
        assert found == {"facing": ("discrete", (1,)), "speed": ("vector", (2,)), "view": ("image", IMAGE)}
    assert shown.summary().observation_size == sum(int(np.prod(shape)) for _, shape in found.values())


def test_vectors_are_as_they_were(demonstrations: Demonstrations, assert_equal: Callable[..., None]) -> None:
    """Bytes of two dimensions are a window of numbers, and not an image."""
    rows = np.arange(30, dtype=np.uint8).reshape(5, 2, 3)
    found = Demonstrations.from_episodes([Episode(observations=rows, actions=np.zeros((4, 1)))])
    assert found.observations.dtype == np.float32
    assert found.observations[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert type(found.next_observations) is np.ndarray
    counted = replace(found, observations=np.arange(4)[:, None], next_observations=np.arange(1, 5)[:, None])
    assert counted.observations.dtype == counted.next_observations.dtype == np.float32


def test_tensors_share_their_rows_on_the_way_to_a_device(shown: Demonstrations) -> None:
    batch = shown.transitions("cpu").to("cpu").checked()
    assert len(batch) == sum(LENGTHS)
    for name, rows in parts(batch.observations).items():
        following = parts(batch.next_observations)[name]
        assert rows.data_ptr() == following.store.data_ptr()
        some = batch[torch.tensor([4, 0])]
        expected = np.asarray(parts(shown.next_observations)[name])[[4, 0]]
        assert np.array_equal(parts(some.next_observations)[name].numpy(), expected)
        assert np.array_equal(parts(some.observations)[name].numpy(), parts(shown.observations)[name][[4, 0]])
