"""What a benchmark costs and how far it is."""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from rlgen.bench.estimate import Measured, cost_of, keep_measurement, read_measurements, total
from rlgen.bench.folder import BenchFolder
from rlgen.bench.status import all_progress, done_of, is_over, summary, table
from rlgen.data import Demonstrations, Episode, ImageSet
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics

from ..agents.interruptions import kill

PPO = Measured(
    machine="here", command="train rl", subject="Pendulum-v1", options={"steps": 64, "learner.algorithm": "ppo"},
    seconds=10.0, work=64, memory_mb=300.0, disk_mb=2.0,
)  # fmt: skip


def test_a_cell_costs_what_the_most_similar_training_took_on_this_machine(tiny: BenchFolder) -> None:
    ppo, a2c = tiny.plan.cells[:2]
    measured = [
        PPO,
        replace(PPO, options={"steps": 64, "learner.algorithm": "a2c"}, seconds=4.0),
        replace(PPO, options={"steps": 32, "learner.algorithm": "a2c"}, seconds=1.0, work=32),
        replace(PPO, machine="elsewhere", seconds=1000.0),
    ]
    cost = cost_of(a2c, measured, "here")
    assert cost is not None
    assert (cost.seconds, cost.memory_mb, cost.disk_mb) == (4.0, 300.0, 2.0)
    half = cost_of(a2c, [replace(PPO, work=128, options={"steps": 128})], "here")
    assert half is not None
    assert half.seconds == 5.0, "in proportion to the steps"
    assert cost_of(ppo, measured, "nowhere") is None
    whole = total(tiny.plan.cells, [replace(PPO, subject="Ant-v5")], "here")
    assert len(whole.unknown) == 4
    assert whole.hours == 0


def test_measurements_are_kept_and_a_damaged_file_only_loses_estimates(tmp_path: Path) -> None:
    path = tmp_path / "there" / "measured.json"
    keep_measurement(PPO, path)
    keep_measurement(replace(PPO, seconds=11.0), path)
    assert [each.seconds for each in read_measurements(path)] == [10.0, 11.0]
    path.write_text("{")
    assert read_measurements(path) == []


def test_the_status_shows_what_runs_where_how_far_and_what_failed(tiny: BenchFolder) -> None:
    done, running, failed, _ = tiny.plan.cells
    run = RunFolder.create(tiny.run_of(done), {"agent": "rl", "seed": 0})
    (run / "result.json").write_text("{}")
    half = RunFolder.create(tiny.run_of(running), {"agent": "rl", "seed": 0, "steps": 100})
    half.begin(100)
    with Metrics(half, tensorboard=False) as metrics:
        metrics(50, {"time/training_seconds": 10.0})
    tiny.log_of(failed).write_text("expected a number; got none\n")
    tiny.note_failure(failed, 2, "w")
    lease = tiny.leases("host:1").take(running.name)
    assert lease is not None
    found = all_progress(tiny, tiny.leases("me"))
    assert [each.state for each in found] == ["done", "running", "failed", "waiting"]
    assert (found[1].share, found[1].speed, found[1].worker) == (0.5, 5.0, "host:1")
    assert summary(found) == "1 of 4 done, 1 running, 1 failed, 1 waiting"
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(found))
    text = console.export_text()
    assert "50%" in text
    assert "expected a number; got none" in text
    assert not is_over(found)
    lease.release()


def test_the_time_left_counts_workers(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlgen.bench.estimate.this_machine", lambda: "here")
    monkeypatch.setattr("rlgen.bench.status.read_measurements", lambda: [PPO])
    found = all_progress(tiny, tiny.leases("me"))
    assert summary(found) == "0 of 4 done, 4 waiting; about 40 s left"
    two = [replace(each, state="running") for each in found[:2]]
    assert summary([*two, *found[2:]]).endswith("about 20 s left")


def test_trainings_of_the_default_length_are_not_compared_with_those_of_a_stated_one(tiny: BenchFolder) -> None:
    cell = tiny.plan.cells[0]
    unstated = {name: value for name, value in cell.options.items() if name != "steps"}
    known = replace(PPO, options=unstated, work=1.0)
    assert cost_of(cell, [known], known.machine) is None
    assert cost_of(replace(cell, options=unstated), [known], known.machine) is not None


def test_a_training_of_epochs_shows_its_progress_and_one_that_ends_by_itself_shows_none(tmp_path: Path) -> None:
    rows = {"observations": np.random.default_rng(0).normal(size=(9, 2)), "actions": np.zeros((8, 1))}
    Demonstrations.from_episodes([Episode(**rows)] * 2).save(tmp_path / "demos.npz")
    images = "train image --epochs 0.1 --batch-size 16 --log-every 2 --evaluate-every 0 --vae.hidden 8"
    cloning = f"train bc --env rlgen/SparseMountainCar-v0 --demos {tmp_path / 'demos.npz'} --bc.check-every 1"
    found = []
    for command in (images, cloning):
        kill([*command.split(), "--threads", "1", "--device", "cpu"], 5, tmp_path / f"run {len(found)}")
        found.append(done_of(tmp_path / f"run {len(found)}"))
    epochs, itself = found
    updates = math.ceil(0.1 * len(ImageSet.load("digits", "train")) / 16)
    assert epochs.share == 4 / updates
    assert epochs.speed is not None
    assert epochs.left == pytest.approx((updates - 4) / epochs.speed)
    assert itself.speed is not None
    assert (itself.share, itself.left) == (None, None)


def test_an_unknown_share_is_a_dash(tiny: BenchFolder) -> None:
    cell = tiny.plan.cells[0]
    RunFolder.create(tiny.run_of(cell), {"agent": "bc", "seed": 0}).begin()
    found = all_progress(tiny, tiny.leases("me"))
    assert [each.share for each in found] == [None, 0, 0, 0]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(found[:1]))
    assert "–" in console.export_text()
