"""What pre-training on instructions gives a policy that is cloned from 100 demonstrations of BabyAI's bot.

    python experiments/instructions/pretraining.py --out DIR [--tasks GoToLocal] [--seeds 40 41 42]

For each task and seed: 1,000 trajectories of the bot, of which the first 100 keep their instruction; a policy that is
cloned from these 100 alone, and others that are cloned from them too, but start from a model pre-trained on the 100, on
all 1,000 with instructions of a speaker for 900 of them, or on all 1,000 with their true instructions. Each plays 200
episodes that it has not seen. Rows are added to `DIR/results.csv`; what is there already is not run again.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CLONED, TRAJECTORIES, EPISODES = 100, 1000, 200
COMMON = ("--device", "cpu", "--threads", "1")
PRETRAINING = ("--prevalent.network.width", "64", "--evaluate-every", "200")
CLONING = (
    *("--bc.batch-size", "64", "--bc.max-updates", "600", "--bc.check-every", "50"),
    *("--bc.plain-below", "0", "--bc.average", "0", "--no-video"),
)
STARTS: dict[str, Sequence[str] | None] = {
    "from scratch": None,
    "pre-trained on the 100": ("--labelled", "100", "--steps", "1500"),
    "pre-trained with a speaker": ["--labelled", "100", "--speaker", "on", "--speaker-steps", "500", "--steps", "2000"],
    "pre-trained with the true instructions": ("--labelled", "1000", "--steps", "1500"),
}
"""Options of the pre-training of each policy."""
OF_PRETRAINING = ("action_accuracy", "written_exact", "written_words")
"""Metrics of the pre-training that a row has."""


def rlgen(*words: str) -> None:
    """Runs a command of rlgen; its output goes to the terminal."""
    subprocess.run([sys.executable, "-m", "rlgen", *words], check=True)


def cloned(env: str, seed: int, name: str, folder: Path) -> dict[str, Any]:
    """Result of the policy with this start: a row of the table."""
    demos, start = folder / f"{env}-{seed}.npz", STARTS[name]
    if not demos.is_file():
        rlgen(
            *("demos", "record", "--env", env, "--expert", "babyai-bot", "--episodes", str(TRAJECTORIES)),
            *("--seed", str(seed), "--out", str(demos)),
        )
    run = folder / f"{env}-{seed}-{name.replace(' ', '-')}"
    encoder: tuple[str, ...] = ()
    pretraining: dict[str, Any] = {"wall_seconds": 0.0, "metrics": {}}
    if start is not None:
        model = run.with_name(f"{run.name}-model")
        pretraining = trained(model, seed, "instruction", "--data", str(demos), *start, *PRETRAINING)
        encoder = ("--encoder.run", str(model))
    learned = ("--demos", str(demos), "--trajectories", str(CLONED), *CLONING, *encoder)
    found = trained(run, seed, "bc", "--env", env, *learned, "--episodes", str(EPISODES))
    return {
        "env": env,
        "start": name,
        "seed": seed,
        "success": found["metrics"]["success_rate"],
        "spl": found["metrics"]["spl"],
        "return": found["return_mean"],
        **{each: pretraining["metrics"].get(each, "") for each in OF_PRETRAINING},
        "minutes": round((found["wall_seconds"] + pretraining["wall_seconds"]) / 60, 2),
        "git_commit": found["git_commit"],
        "device": found["device"],
    }


def trained(run: Path, seed: int, *words: str) -> dict[str, Any]:
    """The result of a training, which is run unless it is there."""
    result = run / "result.json"
    if not result.is_file():
        rlgen("train", *words, "--seed", str(seed), *COMMON, "--out", str(run))
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=["GoToLocal"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[40, 41, 42])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "results.csv"
    rows = list(csv.DictReader(table.open())) if table.is_file() else []
    done = {(row["env"], row["start"], int(row["seed"])) for row in rows}
    for seed in options.seeds:
        for task in options.tasks:
            for name in STARTS:
                env = f"BabyAI-{task}-v0"
                if (env, name, seed) in done:
                    continue
                rows.append(cloned(env, seed, name, options.out))
                with table.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[-1]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
