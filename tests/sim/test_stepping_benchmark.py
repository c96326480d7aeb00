"""The stepping benchmark compares like with like and writes what it measured."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from rlgen.envs import TASKS
from rlgen.sim.threads import ThreadedSim

SCRIPT = Path(__file__).parents[2] / "experiments" / "benchmarks" / "stepping.py"


@pytest.fixture(scope="module")
def stepping():
    spec = importlib.util.spec_from_file_location("stepping_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_ceiling_steps_the_very_states_that_the_environments_step(stepping):
    protocol = stepping.Protocol(n_envs=3, n_threads=2, steps=60)
    trace = stepping.record("Hopper-v5", protocol)
    assert len(trace.starts) > 3  # falls, and so new episodes, within the trace
    sim = ThreadedSim(TASKS["Hopper-v5"](), 3, 1000, n_threads=1)
    sim.reset(range(stepping.SEED, stepping.SEED + 3))
    for action in trace.actions:
        sim.step(action)
    ceiling = stepping.Physics("Hopper-v5", protocol, trace)
    for _ in range(2):
        ceiling()
        np.testing.assert_array_equal([data.qpos for data in ceiling.datas], sim.now.qpos)
    sim.close()
    ceiling.pool.close()


def test_every_measurement_is_a_row_of_the_csv(stepping, tmp_path, capsys):
    out = tmp_path / "results" / "stepping.csv"
    stepping.main(stepping.Protocol(envs=("Swimmer-v5",), n_envs=2, n_threads=2, steps=5, repetitions=2, out=out))
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["contender"] for row in rows}
    assert {"physics", "threads", "dummy"} <= names
    assert len(rows) == 2 * len(names)
    assert all(float(row["env_steps_per_second"]) > 0 for row in rows)
    assert "Stepping, medians" in capsys.readouterr().out
