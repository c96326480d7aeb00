"""Checkpoints come back exactly, and a kill or a damaged file costs one checkpoint at most."""

import errno
import hashlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from rlgen.errors import InputError
from rlgen.runs import RunFolder, checkpoint, load_checkpoint, save_checkpoint
from rlgen.runs.checkpoint import list_checkpoints, restoring
from rlgen.runs.state_tree import decode, encode


def same(left, right) -> bool:
    """Equal in value, type, dtype, shape and every bit; NaN equals NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        bits = [tensor.contiguous().flatten().view(torch.uint8) for tensor in (left, right)]
        return left.dtype == right.dtype and left.shape == right.shape and torch.equal(*bits)
    if isinstance(left, np.ndarray | np.generic):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


STATE = {
    "tensors": {
        "matrix": torch.linspace(0, 1, 6).reshape(2, 3),
        "zero_d": torch.tensor(3.5, dtype=torch.float64),
        "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
        "transposed": torch.arange(6.0).reshape(2, 3).T,
    },
    "arrays": {
        "float64": np.array([0.1, np.nan, -np.inf]),
        "zero_d": np.array(7, dtype=np.int16),
        "uint32": np.arange(3, dtype=np.uint32),
        "bool": np.array([[True], [False]]),
        "text": np.array(["ant", "humanoid"]),
        "complex": np.array([1 + 2j]),
        "big_endian": np.array([1.0, 2.0], dtype=">f4"),
        "scalar": np.float32(0.1),
        "scalar64": np.float64(0.1),
    },
    "values": {
        "none": None,
        "float": 0.1 + 0.2,
        "negative_zero": -0.0,
        "tiny": 5e-324,
        "infinite": [math.inf, -math.inf, math.nan],
        "big": 2**200 + 1,
        "bool": True,
        "text": "größer\n\x00",
        "": {"$": "a dollar", "/": 1},
    },
    "names": {"a/b": torch.zeros(1), "a": {"b": torch.ones(1)}},
    "optimiser": {"state": {0: {"exp_avg": torch.ones(2)}, "0": {"exp_avg": torch.zeros(2)}}, "groups": [{"lr": 3e-4}]},
}


def test_every_kind_of_leaf_comes_back_exactly(tmp_path):
    save_checkpoint(tmp_path, 12, STATE)
    step, state = load_checkpoint(tmp_path)
    assert step == 12
    assert same(STATE, state)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60)
@given(json_values)
def test_every_json_tree_survives_the_text_form(tree):
    encoded, tensors = encode(tree)
    text = json.dumps(encoded, allow_nan=False)
    assert same(tree, decode(json.loads(text), tensors))


def test_an_optimizer_continues_after_the_round_trip(tmp_path):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=0.1)

    def step(parameter, adam):
        adam.zero_grad()
        (parameter**2).sum().backward()
        adam.step()

    step(weight, optimizer)
    save_checkpoint(tmp_path, 1, {"weight": weight, "optimiser": optimizer.state_dict()})
    state = load_checkpoint(tmp_path).state
    restored = torch.nn.Parameter(state["weight"])
    again = torch.optim.Adam([restored], lr=0.5)
    again.load_state_dict(state["optimiser"])
    step(weight, optimizer)
    step(restored, again)
    assert torch.equal(weight, restored)
    assert again.param_groups[0]["lr"] == 0.1


def test_two_names_for_one_tensor_are_both_kept(tmp_path):
    tied = torch.arange(4.0)
    save_checkpoint(tmp_path, 1, {"a": tied, "b": tied, "part": tied[1:3]})
    state = load_checkpoint(tmp_path).state
    assert torch.equal(state["a"], tied)
    assert torch.equal(state["b"], tied)
    assert torch.equal(state["part"], tied[1:3])


def test_tuples_come_back_as_lists(tmp_path):
    save_checkpoint(tmp_path, 1, {"betas": (0.9, 0.999)})
    assert load_checkpoint(tmp_path).state == {"betas": [0.9, 0.999]}


def test_a_saved_state_does_not_change_with_the_tensors_it_came_from():
    weight = np.ones(2)
    _, tensors = encode({"weight": weight})
    weight[:] = 5
    assert torch.equal(tensors["/weight"], torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("leaf", [object(), {1, 2}, b"bytes", np.array([None])])
def test_a_leaf_that_cannot_be_saved_is_named_with_its_place(tmp_path, leaf):
    with pytest.raises(InputError, match="/policy/thing"):
        save_checkpoint(tmp_path, 1, {"policy": {"thing": leaf}})
    assert list_checkpoints(tmp_path) == []
    assert list((tmp_path / "checkpoints").iterdir()) == [] if (tmp_path / "checkpoints").exists() else True


def test_the_last_two_and_the_final_ones_are_kept(tmp_path):
    save_checkpoint(tmp_path, 100, {}, final=True)
    for step in (200, 300, 400):
        save_checkpoint(tmp_path, step, {"n": step})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["000000000400", "000000000300", "000000000100"]
    assert load_checkpoint(tmp_path).state == {"n": 400}


@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, name, damage, caplog):
    save_checkpoint(tmp_path, 10, {"w": torch.zeros(100)})
    newest = save_checkpoint(tmp_path, 20, {"w": torch.ones(100)})
    data = (newest / name).read_bytes()
    if damage == "remove":
        (newest / name).unlink()
    elif damage == "cut":
        (newest / name).write_bytes(data[: len(data) // 2])
    else:
        at = data.index(b"sha256") + 15 if name == "manifest.json" else len(data) // 2
        (newest / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with caplog.at_level(logging.WARNING, logger="rlgen"):
        step, state = load_checkpoint(tmp_path)
    assert step == 10
    assert torch.equal(state["w"], torch.zeros(100))
    assert "000000000020 is damaged" in caplog.text


def test_leftovers_of_an_interrupted_write_are_ignored_and_later_removed(tmp_path):
    save_checkpoint(tmp_path, 10, {"n": 10})
    leftover = tmp_path / "checkpoints" / "000000000020.deadbeef.partial"
    leftover.mkdir()
    (leftover / "tensors.safetensors").write_bytes(b"half")
    assert load_checkpoint(tmp_path).step == 10
    save_checkpoint(tmp_path, 30, {"n": 30})
    assert not leftover.exists()


def test_a_kill_between_the_two_renames_of_a_replacement_loses_nothing(tmp_path):
    path = save_checkpoint(tmp_path, 10, {"n": "old"})
    path.rename(path.with_name(path.name + ".replaced"))
    assert load_checkpoint(tmp_path) == (10, {"n": "old"})
    save_checkpoint(tmp_path, 10, {"n": "new"})
    assert load_checkpoint(tmp_path) == (10, {"n": "new"})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_a_step_saved_twice_holds_the_second_state(tmp_path):
    save_checkpoint(tmp_path, 10, {"n": 1})
    save_checkpoint(tmp_path, 10, {"n": 2}, final=True)
    assert load_checkpoint(tmp_path).state == {"n": 2}


def test_tensors_that_the_disk_refuses_are_an_error_of_the_system(tmp_path, monkeypatch):
    def full(tensors, path):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 10, {"w": torch.zeros(3)})
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_no_checkpoint_and_only_damaged_ones_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="got none"):
        load_checkpoint(tmp_path)
    (save_checkpoint(tmp_path, 10, {}) / "state.json").write_text("")
    with pytest.raises(InputError, match="1 damaged"):
        load_checkpoint(tmp_path)


WRITER = """
import sys, torch
from rlgen.runs import save_checkpoint
for step in range(1, 10**6):
    save_checkpoint(sys.argv[1], step // 3, {"step": step // 3, "w": torch.full((100_000,), float(step // 3))})
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_process_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path: Path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    try:
        deadline = time.monotonic() + 60
        while len(list_checkpoints(tmp_path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    step, state = load_checkpoint(tmp_path)
    assert state["step"] == step
    assert torch.equal(state["w"], torch.full((100_000,), float(step)))


def rewrite(path: Path, name: str, data: bytes) -> None:
    """Change a file of a checkpoint and its sha256, as somebody would who means harm."""
    (path / name).write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"][name] = hashlib.sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


FOREIGN = {
    "offsets beyond the file": (
        "tensors.safetensors",
        b"\x40\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
    ),
    "no header": ("tensors.safetensors", b"\xff" * 16),
    "a deep state": ("state.json", b"[" * 100_000 + b"]" * 100_000),
    "a list as state": ("state.json", b"[]"),
    "a tensor that is not there": ("state.json", b'{"w": {"$": "tensor", "name": "other"}}'),
    "items that are no pairs": ("state.json", b'{"w": {"$": "dict", "items": [3]}}'),
}


@pytest.mark.parametrize("damage", FOREIGN)
def test_a_checkpoint_with_the_right_digest_and_the_wrong_content_is_passed_over_too(tmp_path, damage):
    save_checkpoint(tmp_path, 10, {"w": torch.zeros(3)})
    rewrite(save_checkpoint(tmp_path, 20, {"w": torch.ones(3)}), *FOREIGN[damage])
    assert load_checkpoint(tmp_path).step == 10


@pytest.mark.parametrize(
    "manifest", ["[]", "null", "[" * 100_000, '{"format": 1, "sha256": []}', '{"format": 1, "sha256": {}, "step": 7}']
)
def test_a_manifest_of_another_kind_is_passed_over(tmp_path, manifest):
    save_checkpoint(tmp_path, 10, {})
    (save_checkpoint(tmp_path, 20, {}) / "manifest.json").write_text(manifest)
    assert load_checkpoint(tmp_path).step == 10
    save_checkpoint(tmp_path, 30, {})


def test_damaged_checkpoints_are_told_by_the_folder_of_the_run(tmp_path):
    run = RunFolder.create(tmp_path / "run", {"secret": "setting"})
    (save_checkpoint(run, 10, {}) / "state.json").write_text("")
    with pytest.raises(InputError, match=f"expected a complete checkpoint in {run.path}; got 1 damaged") as error:
        load_checkpoint(run)
    assert "setting" not in str(error.value)


@pytest.mark.parametrize(
    "fault", [KeyError("policy"), RuntimeError("size mismatch\n" * 99), AttributeError("x"), TypeError()]
)
def test_a_state_that_does_not_fit_is_named_in_three_parts_on_one_line(tmp_path, fault):
    with (
        pytest.raises(InputError, match=r"expected the state .*000000000010; got \w+Error.*; remove") as error,
        restoring(tmp_path, 10),
    ):
        raise fault
    assert len(str(error.value)) < 800
    assert "\n" not in str(error.value)


def test_a_full_disk_is_told_as_such_where_it_strikes_the_tensors(tmp_path, monkeypatch):
    def full(tensors, path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left") as error:
        save_checkpoint(tmp_path, 10, {"w": torch.zeros(3)})
    assert error.value.errno == errno.ENOSPC
