"""Runs many trainings, some of them at a time; skips finished ones and resumes stopped ones."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rlgen.runs.folder import RunFolder

COMMAND = (sys.executable, "-P", "-m", "rlgen.agents.cli")


def train_all(runs: Path, commands: Mapping[str, Sequence[str]], jobs: int = 1) -> list[str]:
    """Run `rlgen ARGUMENTS --out RUNS/NAME` for every name and its arguments, in `jobs` parallel processes of one torch
    thread each. Returns the names of those that failed.

    The output goes to NAME.log next to the folder. The function may be interrupted and called again.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda name: _train(runs, name, commands[name]), commands)
        return [name for name, finished in zip(commands, done, strict=True) if not finished]


def _train(runs: Path, name: str, arguments: Sequence[str]) -> bool:
    out = runs / name
    begun = (out / "config.json").exists()
    if begun and RunFolder.open(out).finished:
        return True
    chosen = ["resume", str(out)] if begun else [*arguments, "--out", str(out)]
    print("start", name, flush=True)
    with (runs / f"{name}.log").open("a") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        code = subprocess.run([*COMMAND, *chosen], stdout=log, stderr=log, env=environment, check=False).returncode
    print("done" if code == 0 else f"FAILED ({code})", name, flush=True)
    return code == 0
