"""The transfer test of AIRL (Fu et al. 2018, 1710.11248, section 7.1): rewards that were learned on Ant train a policy
on an Ant with two weak and shrunk legs. Beside them the policy that GAIL has learned on the whole Ant, played there.

    python transfer.py --demos ant.npz --seed 0 --out DIR

Runs lie in DIR and are resumed when the script is started again; DIR/rows.csv has a row per policy.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

DISABLED = "rlgen/DisabledAnt-v0"
WHOLE = ["--env", "Ant-v5", "--env-kwargs", "terminate_when_unhealthy=False"]
COLUMNS = ["row", "seed", "env_steps", "return_mean", "return_std", "return_min", "wall_seconds"]


def rlgen(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "rlgen", *arguments], check=True)


def train(run: Path, seed: int, steps: float, *arguments: str) -> Path:
    """A finished run, begun or resumed as needed."""
    if (run / "result.json").exists():
        return run
    if (run / "config.json").exists():
        rlgen("resume", str(run))
    else:
        shared = ["--seed", str(seed), "--steps", str(steps), "--threads", "1", "--no-video", "--out", str(run)]
        rlgen("train", *arguments, *shared)
    return run


def row(name: str, seed: int, result: Path) -> dict[str, object]:
    found = json.loads(result.read_text())
    return {"row": name, "seed": seed} | {key: found.get(key) for key in COLUMNS[2:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", required=True, help="demonstrations on Ant-v5")
    parser.add_argument("--trajectories", default="4", help="demonstrated episodes")
    parser.add_argument("--steps", type=float, default=1e6, help="environment steps of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    demos = [*WHOLE, "--demos", chosen.demos, "--trajectories", chosen.trajectories]
    rows = []
    for inputs in ("state", "state_action"):
        learned = train(
            chosen.out / f"airl-{inputs}",
            chosen.seed,
            chosen.steps,
            "airl",
            *demos,
            "--airl.discriminator.inputs",
            inputs,
        )
        rows.append(row(f"AIRL {inputs}, on the whole Ant", chosen.seed, learned / "result.json"))
        other = train(
            chosen.out / f"rl-{inputs}", chosen.seed, chosen.steps, "rl", "--env", DISABLED, "--reward", str(learned)
        )
        rows.append(row(f"PPO on AIRL's reward ({inputs}), disabled Ant", chosen.seed, other / "result.json"))
    gail = train(chosen.out / "gail", chosen.seed, chosen.steps, "gail", *demos)
    rows.append(row("GAIL, on the whole Ant", chosen.seed, gail / "result.json"))
    moved = chosen.out / "gail-moved.json"
    if not moved.exists():
        rlgen("evaluate", str(gail), "--env", DISABLED, "--env-kwargs", "{}", "--out", str(moved))
    rows.append(row("GAIL's policy, disabled Ant", chosen.seed, moved))
    task = train(chosen.out / "rl-task", chosen.seed, chosen.steps, "rl", "--env", DISABLED)
    rows.append(row("PPO on the task's reward, disabled Ant", chosen.seed, task / "result.json"))
    with (chosen.out / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
