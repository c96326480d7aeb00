"""Pickles of spaces and statistics are read, and nothing in a pickle is ever run."""

import builtins
import codecs
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlgen.errors import InputError
from rlgen.sb3.observation_normalization import find_normalizer, read_normalizer
from rlgen.sb3.plain_pickle import array_of, read_plain, space_of

SPACES = [
    spaces.Box(-2, np.array([3.0, np.inf], np.float32)),
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Discrete(3),
    spaces.Discrete(3, start=2),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(4),
    spaces.MultiBinary([2, 2]),
]


class Look(gym.Env):
    observation_space, action_space = spaces.Box(-9, 9, (3,)), spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.arange(3, dtype=np.float32), {}


def statistics(**options: Any) -> VecNormalize:
    env = VecNormalize(DummyVecEnv([Look]), clip_obs=1.5, **options)
    env.reset()
    env.obs_rms.var[:] = [1.0, 4.0, 9.0]  # type: ignore[union-attr]
    return env


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_spaces_are_read(protocol: int) -> None:
    for space in SPACES:
        space.seed(1)
        assert space_of(read_plain(cloudpickle.dumps(space, protocol), "here")) == space


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_vecnormalize_normalizes_as_sb3_does(protocol: int, tmp_path: Path) -> None:
    env, path = statistics(), tmp_path / "any.pkl"
    env.action_space.sample()
    path.write_bytes(pickle.dumps(env, protocol))
    found, seen = read_normalizer(path, (3,)), np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert found is not None
    assert np.array_equal(found(seen), env.normalize_obs(seen))


def test_a_vecnormalize_of_older_libraries_is_read(tmp_path: Path) -> None:
    """As NumPy 1 and Gym wrote it: other names of the same modules."""
    content = pickle.dumps(statistics(), 4)
    for new, old in ((b"numpy._core", b"numpy.core"), (b"gymnasium", b"gym")):
        content = _renamed(content, new, old)
    assert b"numpy.core" in content
    assert b"gym.spaces.box" in content
    (tmp_path / "old.pkl").write_bytes(content)
    found = read_normalizer(tmp_path / "old.pkl", (3,))
    assert found is not None
    assert found.std == pytest.approx([1, 2, 3])


def _renamed(content: bytes, new: bytes, old: bytes) -> bytes:
    """Short texts that begin with `new` begin with `old`; frames, which give lengths of bytes, are left out."""
    import pickletools

    parts, operations = [], list(pickletools.genops(content))
    ends = [position for _, _, position in operations[1:]] + [len(content)]
    for (operation, value, begin), end in zip(operations, ends, strict=True):
        if operation.name == "FRAME":
            continue
        if operation.name == "SHORT_BINUNICODE" and str(value).encode().startswith(new):
            text = str(value).encode().replace(new, old, 1)
            parts.append(b"\x8c" + bytes([len(text)]) + text)
        else:
            parts.append(content[begin:end])
    return b"".join(parts)


def test_a_vecnormalize_that_leaves_observations_alone_normalizes_nothing(tmp_path: Path) -> None:
    env = VecNormalize(DummyVecEnv([Look]), norm_obs=False)
    env.save(str(tmp_path / "vecnormalize.pkl"))
    assert read_normalizer(tmp_path / "vecnormalize.pkl", (3,)) is None


class Runs:
    """What unpickling calls."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


def attacks(mark: Path) -> list[bytes]:
    code = f"open({str(mark)!r}, 'w')"
    objects = [
        Runs(os.system, f"touch {mark}"),
        Runs(builtins.eval, code),
        Runs(builtins.exec, code),
        Runs(np.load, str(mark)),
        Runs(np.fromfile, str(mark)),
        Runs(codecs.lookup, "latin1"),
        {"obs_rms": Runs(Path.touch, mark)},
    ]
    found = [pickle.dumps(each) for each in objects]
    for module, name in (
        ("numpy.f2py", "crackfortran.myeval"),
        ("numpy", "testing._private.utils.runstring"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("gymnasium.spaces.box", "np.load"),
        ("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize.load"),
        ("stable_baselines3.common.vec_env.vec_normalize", "pickle.loads"),
        ("numpy.random._pickle", "__generator_ctor.__globals__"),
        ("builtins", "getattr"),
        ("builtins", "object"),
        ("copyreg", "_reconstructor"),
        ("posix", "system"),
    ):
        texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
        found.append(b"\x80\x04" + texts + b"\x93\x8c\x01x\x85R.")  # STACK_GLOBAL, ("x",), REDUCE
    found.append(b"\x80\x02cos\nsystem\n(X\x05\x00\x00\x00touchtR.")  # GLOBAL
    found.append(b"(S'touch'\nios\nsystem\n.")  # INST
    found.append(b"\x80\x04Pid\n.")  # PERSID
    return found


def test_nothing_is_run_whatever_a_pickle_asks_for(tmp_path: Path) -> None:
    mark, path = tmp_path / "code-ran", tmp_path / "model" / "vecnormalize.pkl"
    path.parent.mkdir()
    for number, content in enumerate(attacks(mark)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"expected .*; got .*; "):
            read_normalizer(path, (3,))
        assert not mark.exists(), number


def test_records_are_changed_by_no_state_and_indices_cost_no_memory() -> None:
    box = b"\x8c\x14gymnasium.spaces.box\x8c\x03Box\x93"
    for content in (
        b"\x80\x04" + box + b"}\x8c\x04name\x8c\x01xsb.",  # BUILD on the class itself
        b"\x80\x04" + box + b"\x80\x04N}\x8c\x03get\x8c\x01xs\x86b.",
        b"\x80\x04" + box + b")R]a.",  # APPEND to a record
        b"\x80\x04",
        b"junk",
    ):
        with pytest.raises(InputError):
            read_plain(content, "here")
    assert space_of(read_plain(cloudpickle.dumps(spaces.Discrete(3)), "here")) == spaces.Discrete(3)
    assert read_plain(b"\x80\x04Nr" + struct.pack("<I", 2**32 - 1) + b".", "here") is None  # LONG_BINPUT


def test_arrays_are_no_larger_than_their_bytes() -> None:
    honest = pickle.dumps(np.zeros(3), 4)
    assert array_of(read_plain(honest, "here")).tolist() == [0, 0, 0]
    swollen = honest.replace(b"K\x03\x85", b"K\xff\x85")
    assert swollen != honest
    with pytest.raises(ValueError, match="another size than its bytes"):
        array_of(read_plain(swollen, "here"))
    with pytest.raises(ValueError, match="numbers of type"):
        array_of(read_plain(pickle.dumps(np.array([None, "x"], object), 4), "here"))


# where statistics lie


@pytest.mark.parametrize(
    ("model", "where"),
    [
        ("Look-v0_1/Look-v0.zip", "Look-v0_1/Look-v0/vecnormalize.pkl"),
        ("Look-v0_1/best_model.zip", "Look-v0_1/Look-v0/vecnormalize.pkl"),
        ("zoo/Look-v0.zip", "zoo/Look-v0/vecnormalize.pkl"),
        ("one/model.zip", "one/vecnormalize.pkl"),
        ("one/model.zip", "one/vec_normalize.pkl"),
        ("one/model.zip", "one/model_vecnormalize.pkl"),
        ("one/rl_model_100_steps.zip", "one/rl_model_vecnormalize_100_steps.pkl"),
    ],
)
def test_statistics_are_found_where_the_zoo_and_sb3_write_them(model: str, where: str, tmp_path: Path) -> None:
    for each in (model, where):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / model).touch()
    statistics().save(str(tmp_path / where))
    found = find_normalizer(tmp_path / model, (3,))
    assert found is not None
    assert found.clip == 1.5
    (tmp_path / where).write_bytes(pickle.dumps(Runs(os.system, "true")))
    with pytest.raises(InputError, match=r"posix\.system in .*could run code.*--normalizer none"):
        find_normalizer(tmp_path / model, (3,))


def test_statistics_of_another_model_in_the_folder_are_no_concern(tmp_path: Path) -> None:
    for name in ("mine.zip", "other.zip"):
        (tmp_path / name).touch()
    statistics().save(str(tmp_path / "other_vecnormalize.pkl"))
    statistics().save(str(tmp_path / "vecnormalize.pkl"))
    assert find_normalizer(tmp_path / "mine.zip", (5,)) is None  # of another shape
    (tmp_path / "vecnormalize.pkl").unlink()
    assert find_normalizer(tmp_path / "mine.zip", (3,)) is None  # named after the other
    assert find_normalizer(tmp_path / "other.zip", (3,)) is not None


def test_of_several_statistics_that_fit_one_must_be_named(tmp_path: Path) -> None:
    for name in ("vecnormalize.pkl", "vec_normalize_old.pkl"):
        statistics().save(str(tmp_path / name))
    with pytest.raises(InputError, match=r"one VecNormalize next to .*; got .* and .*--normalizer FILE"):
        find_normalizer(tmp_path / "mine.zip", (3,))


def test_a_class_in_the_place_of_an_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "any.pkl"
    env = statistics()
    env.obs_rms = type(env.obs_rms)
    for content in (pickle.dumps(VecNormalize), pickle.dumps(env)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a VecNormalize"):
            read_normalizer(path, (3,))
