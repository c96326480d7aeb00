"""GAIL's speed against the peer's, run in turns on one machine: medians and ratios.

    make install                                   # and .peer, as peer_imitation.py says
    .venv/bin/python experiments/benchmarks/gail_throughput.py --demos FOLDER

FOLDER holds `{env}_every20.npz`. Every measurement is a process of its own with one torch thread, except `all torch
threads` and rlgen's defaults, which use torch's own choice as in `rlgen train`. Contenders take turns, so that a
slow phase of the machine affects all alike. Each line is kept in results/gail_throughput.csv, with the load average
before it: run this on an idle machine.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rlgen.system.pool import usable_cpus
from rlgen.system.versions import checkout_commit, cpu_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COLUMNS = (
    "measure", "env", "contender", "repeat", "value", "unit", "load_average", "cpu", "cores", "commit", "versions",
)  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One side of the race: `script` with `options`, under the interpreter that has its packages."""

    name: str
    python: Path
    script: str
    options: tuple[str, ...] = ()


def contenders(peer: Path, measure: str) -> list[Contender]:
    """The peer first: ratios are relative to it."""
    theirs, own = "peer_imitation.py", "own_gail.py"
    python = Path(sys.executable)
    every_thread = ("--torch-threads", "0")
    race = [
        Contender("imitation", peer, theirs),
        Contender("imitation, all torch threads", peer, theirs, every_thread),
        Contender("rlgen, same settings", python, own),
    ]
    if measure == "training":
        race.append(Contender("imitation, subprocesses", peer, theirs, ("--vec", "subproc")))
        race.append(Contender("rlgen, same settings and penalty", python, own, ("--profile", "penalty")))
        race.append(Contender("rlgen, defaults", python, own, ("--profile", "defaults", *every_thread)))
    else:
        race.append(Contender("rlgen, all torch threads", python, own, every_thread))
    return race


def measure_once(contender: Contender, measure: str, env: str, demos: Path, rounds: int) -> dict:
    """Run one process and read the JSON of its last line."""
    command = [str(contender.python), str(HERE / contender.script), measure, "--env", env, "--demos", str(demos)]
    command += ["--rounds", str(rounds), *contender.options]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def race(measure: str, env: str, chosen: argparse.Namespace, writer: csv.DictWriter, machine: dict) -> None:
    """All contenders in turn, `repeats` times; prints the medians and their ratios to the peer."""
    key, unit = ("steps_per_second", "steps/s") if measure == "training" else ("milliseconds", "ms")
    sides = contenders(chosen.peer, measure)
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    for repeat in range(chosen.repeats):
        for side in sides:
            load = round(os.getloadavg()[0], 2)
            result = measure_once(side, measure, env, chosen.demos / f"{env}_every20.npz", chosen.rounds)
            values[side.name].append(result[key])
            versions = " ".join(f"{name}={number}" for name, number in result["versions"].items())
            line = {"measure": measure, "env": env, "contender": side.name, "repeat": repeat, "unit": unit}
            line |= {"value": round(result[key], 3), "load_average": load, "versions": versions}
            writer.writerow(line | machine)
    peer = median(values[sides[0].name])
    for name, found in values.items():
        ratio = median(found) / peer if measure == "training" else peer / median(found)
        print(f"{measure:<14}{env:<16}{name:<34}{median(found):>9.1f} {unit:<8}{ratio:>6.2f} x", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", type=Path, required=True, help="folder with {env}_every20.npz")
    parser.add_argument("--peer", type=Path, default=ROOT / ".peer" / "bin" / "python", help="the peer's interpreter")
    parser.add_argument("--envs", nargs="+", default=["Ant-v5", "HalfCheetah-v5", "Humanoid-v5"])
    parser.add_argument("--repeats", type=int, default=5, help="turns of every contender")
    parser.add_argument("--rounds", type=int, default=20, help="timed rounds of 2048 steps in each turn")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gail_throughput.csv")
    chosen = parser.parse_args()
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    # Before the file is opened: if it is tracked, writing it makes the checkout differ from its commit.
    machine = {"cpu": cpu_name(), "cores": usable_cpus(), "commit": checkout_commit()}
    with chosen.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for env in chosen.envs:
            for measure in ("training", "discriminator"):
                race(measure, env, chosen, writer, machine)
                stream.flush()


if __name__ == "__main__":
    main()
