"""A fixed part of the fuzz: every format a few times; `make fuzz` has the rest."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.byte_damage import damaged_bytes
from tests.fuzz.json_damage import damaged_json

ROOT = Path(__file__).resolve().parents[2]
CASES = 120


@pytest.mark.timeout(1200)  # half a minute of one core, which others may want too
def test_damaged_files_work_or_are_refused_in_three_parts() -> None:
    """In a process of its own, whose memory and imports are known."""
    command = [sys.executable, "-m", "tests.fuzz", "--cases", str(CASES), "--brief"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"\nall{'':<15}{CASES:>8}" in done.stdout


def test_a_case_is_decided_by_its_seed() -> None:
    data = bytes(range(200))
    text = b'{"a": [1, 2, {"b": null}], "c": "d"}'
    for seed in range(50):
        first, second = (np.random.default_rng([seed, 1]) for _ in range(2))
        assert damaged_bytes(first, data) == damaged_bytes(second, data)
        assert damaged_json(first, text) == damaged_json(second, text)
