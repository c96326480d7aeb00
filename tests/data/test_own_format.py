import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError

BITS = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    fell=st.lists(st.booleans(), min_size=4, max_size=4),
    bits=st.data(),
    env_id=st.none() | st.from_regex(r"([a-z]+/)?[A-Za-z]\w{0,8}-v\d", fullmatch=True),
    metadata=st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.booleans())),
    rewards=st.booleans(),
    k=st.integers(1, 3),
)
def test_own_files_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    fell: list[bool],
    bits: Any,
    env_id: str | None,
    metadata: dict[str, Any],
    rewards: bool,
    k: int,
    assert_equal: Callable[..., None],
) -> None:
    def floats(*shape: int) -> np.ndarray:
        return bits.draw(arrays(np.uint32, shape, elements=BITS)).view(np.float32)

    made = [
        Episode(
            observations=floats(n + 1, 2), actions=floats(n, 1), rewards=np.ones(n) if rewards else None, terminated=f
        )
        for n, f in zip(lengths, fell, strict=False)
    ]
    demonstrations = Demonstrations.from_episodes(made, env_id=env_id, metadata=metadata).every(k)
    path = tmp_path_factory.mktemp("round") / "demos.npz"
    demonstrations.save(path)
    assert_equal(Demonstrations.load(path), demonstrations)


def test_own_files_hold_neither_pickles_nor_every_observation_twice(
    demonstrations: Demonstrations, tmp_path: Path
) -> None:
    demonstrations.save(tmp_path / "demos.npz")
    with np.load(tmp_path / "demos.npz", allow_pickle=False) as file:
        assert all(file[key].dtype.kind in "fiubU" for key in file.files)
        assert len(file["next_observations"]) == 3
        assert json.loads(str(file["metadata"]))["seed"] == 2**70


def test_the_same_demonstrations_are_the_same_bytes(demonstrations: Demonstrations, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        demonstrations.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "demos.npz"
    demonstrations.save(path)

    def full_disk(file: io.BufferedWriter, **_: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space left"):
        demonstrations.first(1).save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["demos.npz"]
    assert Demonstrations.load(path).n_episodes == 3


def test_a_newer_version_of_the_format_says_to_update(demonstrations: Demonstrations, tmp_path: Path) -> None:
    demonstrations.save(tmp_path / "demos.npz")
    with np.load(tmp_path / "demos.npz") as file:
        np.savez(tmp_path / "newer.npz", **{**file, "format_version": np.array(99)})
    with pytest.raises(InputError, match=r"version 99 in .*; update rlgen"):
        Demonstrations.load(tmp_path / "newer.npz")


def test_own_files_may_hold_plain_next_observations(
    demonstrations: Demonstrations, tmp_path: Path, assert_equal: Callable[..., None]
) -> None:
    demonstrations.save(tmp_path / "demos.npz")
    with np.load(tmp_path / "demos.npz") as file:
        content = {key: file[key] for key in file.files if key != "next_is_following_row"}
    np.savez(tmp_path / "plain.npz", **{**content, "next_observations": demonstrations.next_observations})
    assert_equal(Demonstrations.load(tmp_path / "plain.npz"), demonstrations)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_npz_is_named(demonstrations: Demonstrations, tmp_path: Path, share: float) -> None:
    path = tmp_path / "demos.npz"
    demonstrations.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"got .*demos\.npz"):
        Demonstrations.load(path)


def test_a_flipped_byte_is_named_with_its_key(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = tmp_path / "demos.npz"
    demonstrations.save(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"actions.npy") + 60
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="cut or damaged at key 'actions'"):
        Demonstrations.load(path)


@pytest.mark.parametrize("key", ["observations", "metadata", "env_id"])
def test_a_pickled_array_is_refused_and_does_not_run(
    demonstrations: Demonstrations, tmp_path: Path, payload: object, mark: Path, key: str
) -> None:
    demonstrations.save(tmp_path / "demos.npz")
    with np.load(tmp_path / "demos.npz") as file:
        np.savez(tmp_path / "evil.npz", **{**file, key: np.array([payload], object)})
    with pytest.raises(InputError, match=f"plain numbers under '{key}'; got pickled objects"):
        Demonstrations.load(tmp_path / "evil.npz")
    assert not mark.exists()


def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path: Path, payload: object, mark: Path) -> None:
    for name in ("evil.pkl", "evil.npz"):
        (tmp_path / name).write_bytes(pickle.dumps(payload))
        with pytest.raises(InputError, match="pickled files are not read"):
            Demonstrations.load(tmp_path / name)
    assert not mark.exists()
