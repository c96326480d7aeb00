"""metrics.csv is a valid table at every moment, exact to the bit, and goes on after a resume as if nothing happened."""

import csv
import errno
import itertools
import math
import os
import shutil
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlgen.errors import InputError
from rlgen.runs import Metrics, read_metrics
from rlgen.runs.metrics import TensorBoard, same_metrics


def rows(folder) -> list[list[str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_new_columns_leave_the_table_rectangular(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics.write(1, {"train/a": 1})
        metrics.write(2, {"train/b": 2, "train/a": 3})
        metrics.write(3, {"odd, name": 4})
    assert rows(tmp_path) == [
        ["step", "train/a", "train/b", "odd, name"],
        ["1", "1.0", "", ""],
        ["2", "3.0", "2.0", ""],
        ["3", "", "", "4.0"],
    ]


@settings(deadline=None, max_examples=50)
@given(value=st.floats())
def test_a_value_reads_back_as_the_same_float64(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("run")
    with Metrics(folder, tensorboard=False) as metrics:
        metrics(1, {"x": value})
    read = read_metrics(folder)["x"][0]
    assert struct.pack("d", read) == struct.pack("d", value) or (math.isnan(read) and math.isnan(value))


def test_tensors_and_numpy_scalars_are_values(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics(1, {"tensor": torch.tensor(0.1), "array": np.float32(0.1), "whole": 3})
    read = read_metrics(tmp_path / "metrics.csv")
    assert read["tensor"][0] == read["array"][0] == float(np.float32(0.1))
    assert read["whole"][0] == 3


def test_each_row_is_on_disk_when_write_returns(tmp_path):
    metrics = Metrics(tmp_path, tensorboard=False)
    metrics(5, {"x": 1})
    assert rows(tmp_path)[-1] == ["5", "1.0"]
    metrics.close()


def test_a_row_cut_by_a_kill_is_dropped_on_opening(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics(1, {"x": 1, "y": 2})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2,0.12")
    assert read_metrics(tmp_path)["step"].tolist() == [1]
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics(3, {"y": 4})
    assert rows(tmp_path) == [["step", "x", "y"], ["1", "1.0", "2.0"], ["3", "", "4.0"]]


def test_a_resumed_run_writes_the_same_file_as_an_uninterrupted_one(tmp_path):
    values = [{"x": 0.1}, {"x": 0.2}, {"x": 0.3, "late": 1.0}, {"x": 0.4}]
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for folder in (straight, resumed):
        folder.mkdir()
    with Metrics(straight, tensorboard=False) as metrics:
        for step, value in enumerate(values):
            metrics(step, value)
    with Metrics(resumed, tensorboard=False) as metrics:
        for step, value in enumerate(values[:3]):
            metrics(step, value | {"time/seconds": 1.0} if step else value)
    with Metrics(resumed, tensorboard=False) as metrics:
        metrics.truncate(0)
        for step, value in list(enumerate(values))[1:]:
            metrics(step, value)
    assert rows(straight) == rows(resumed)


@pytest.mark.parametrize("step", [-1, 0])
def test_truncating_everything_starts_an_empty_table(tmp_path, step):
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics.truncate(step)
        metrics(1, {"x": 1})
        metrics.truncate(step)
        assert read_metrics(tmp_path) == {}
        metrics(2, {"y": 1})
    assert rows(tmp_path) == [["step", "y"], ["2", "1.0"]]


def test_comparing_runs_leaves_out_the_clock_and_sees_the_last_bit(tmp_path):
    for name, value, seconds in [("a", 0.1, 1.0), ("b", 0.1, 2.0), ("c", np.nextafter(0.1, 1), 1.0)]:
        (tmp_path / name).mkdir()
        with Metrics(tmp_path / name, tensorboard=False) as metrics:
            metrics(1, {"x": value, "nan": math.nan, "time/seconds": seconds})
    assert same_metrics(tmp_path / "a", tmp_path / "b")
    assert not same_metrics(tmp_path / "a", tmp_path / "c")


def test_a_metric_may_not_be_called_step(tmp_path):
    with Metrics(tmp_path, tensorboard=False) as metrics, pytest.raises(InputError, match="step"):
        metrics(1, {"step": 1})


def test_a_foreign_table_is_not_overwritten(tmp_path):
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="move that file away"):
        Metrics(tmp_path)
    assert (tmp_path / "metrics.csv").read_text() == "a,b\n1,2\n"


def test_tensorboard_shows_a_resumed_run_without_the_steps_it_repeats(tmp_path):
    with Metrics(tmp_path) as metrics:
        for step in (100, 200, 300):
            metrics(step, {"train/x": step})
    with Metrics(tmp_path) as metrics:
        metrics.truncate(200)
        metrics(250, {"train/x": 2.5})
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/x")] == [(100, 100), (200, 200), (250, 2.5)]


@pytest.mark.parametrize(
    "damage", [b"step,a\n1,\xff\n", b"step,a\n1,x\n", b"step,a\nten,1\n", b"a\n1\n", b"\nstep\n", b"step,a\n1\n"]
)
def test_a_damaged_table_is_refused_in_three_parts(tmp_path, damage):
    (tmp_path / "metrics.csv").write_bytes(damage)
    for read in (read_metrics, Metrics):
        with pytest.raises(InputError, match=r"expected rows of numbers.*metrics\.csv; got .*; move"):
            read(tmp_path)


def test_a_run_folder_that_disappears_is_an_error_and_is_not_made_again(tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(OSError, match="No such file"), Metrics(run) as metrics:  # noqa: PT012
        metrics.write(1, {"a": 1.0})
        shutil.rmtree(run)
        metrics.truncate(1)
        metrics.write(2, {"a": 1.0, "b": 2.0})
    assert not run.exists()
    assert capfd.readouterr().err == "", "no traceback of a thread"


def test_a_disk_that_is_full_for_tensorboard_is_told_with_the_place(tmp_path, monkeypatch):
    def full(board, step, row):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TensorBoard, "write", full)
    with pytest.raises(OSError, match="No space left") as error, Metrics(tmp_path) as metrics:
        metrics.write(1, {"a": 1.0})
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(tmp_path / "metrics.csv")


def test_rows_are_on_the_disk_before_a_checkpoint_refers_to_them(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    with Metrics(tmp_path, tensorboard=False) as metrics:
        metrics.write(1, {"a": 1.0})
        synced.clear()
        metrics.write(2, {"a": 1.0})
        metrics.sync()
        assert synced == [metrics.path.stat().st_size]


def test_tensorboard_has_sb3s_names_beside_ours_and_the_configuration(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Metrics(tmp_path) as metrics:
        metrics(10, {"evaluation/return_mean": 7.0, "evaluation/episode_length_mean": 50.0})
        metrics.write_hparams(20, {"env": "Ant-v5", "learner.gamma": 0.99, "trajectories": None}, {"final": 1.0})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"evaluation/return_mean", "eval/mean_reward", "eval/mean_ep_length", "final"} <= set(
        events.Tags()["scalars"]
    )
    assert events.Scalars("eval/mean_reward")[0].value == 7.0
    assert "_hparams_/experiment" in events.summary_metadata
    assert any("config" in tag for tag in events.Tags()["tensors"])
    assert "eval/mean_reward" not in read_metrics(tmp_path)


def test_files_of_tensorboard_are_read_in_the_order_in_which_they_were_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("rlgen.runs.metrics._NUMBERS", itertools.count(9))
    for step in (1, 2):
        with Metrics(tmp_path) as metrics:
            metrics(step, {"train/x": step})
    names = sorted(path.name for path in (tmp_path / "tensorboard").iterdir())
    assert [int(name.rsplit(".", 1)[1]) for name in names] == [9, 10]
