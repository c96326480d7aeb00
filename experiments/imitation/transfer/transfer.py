"""The transfer test of AIRL (Fu et al. 2018, 1710.11248, section 7.2): a reward that was learned on Ant trains a policy
on an Ant with two weak and shrunk legs. Beside it the policy that GAIL has learned on the whole Ant, played there.

    python transfer.py --demos ant.npz --seeds 40 41 42 --out DIR

The demonstrations are whole episodes on Ant-v5. Observations are their first 27 numbers, positions and velocities: the
contact forces of other legs are others. AIRL starts from a random policy and remembers earlier ones, because a reward
that has only seen a walking Ant says nothing about one that does not walk yet. Runs lie in DIR and are resumed when the
script is started again; DIR/rows.csv has a row per policy and seed.
"""

import argparse
import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from rlgen.data import Demonstrations

NUMBERS = 27
PLAIN = "include_cfrc_ext_in_observation=False"
WHOLE = ["--env", "Ant-v5", "--env-kwargs", PLAIN, "terminate_when_unhealthy=False"]
DISABLED = ["--env", "rlgen/DisabledAnt-v0", "--env-kwargs", PLAIN]
LEARNING = {
    "airl.discriminator.past-rollouts": "20",
    "airl.discriminator.learning-rate": "1e-4",
    "airl.discriminator.hidden": "128 128",
}
"""Settings of AIRL besides its defaults, chosen on seed 0."""
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


def without_forces(demos: Path, out: Path) -> Path:
    """The demonstrations without contact forces, as a file."""
    if not out.exists():
        shown = [
            replace(each, observations=each.observations[:, :NUMBERS]) for each in Demonstrations.load(demos).episodes()
        ]
        Demonstrations.from_episodes(shown, env_id="Ant-v5").save(out)
    return out


def row(name: str, seed: int, result: Path) -> dict[str, object]:
    found = json.loads(result.read_text())
    return {"row": name, "seed": seed} | {key: found.get(key) for key in COLUMNS[2:]}


def of_seed(seed: int, demos: Path, chosen: argparse.Namespace) -> list[dict[str, object]]:
    """The rows of one seed: AIRL and GAIL on the whole Ant, and what each is worth on the disabled one."""
    folder, shown = chosen.out / str(seed), [*WHOLE, "--demos", str(demos)]
    options = [word for name, value in LEARNING.items() for word in (f"--{name}", *value.split())]
    airl = train(folder / "airl", seed, chosen.steps, "airl", *shown, "--airl.no-warm-start", *options)
    moved = train(folder / "rl-airl", seed, chosen.transfer_steps, "rl", *DISABLED, "--reward", str(airl))
    gail = train(folder / "gail", seed, chosen.gail_steps, "gail", *shown)
    played = folder / "gail-played.json"
    if not played.exists():
        rlgen("evaluate", str(gail), *DISABLED, "--out", str(played))
    task = train(folder / "rl-task", seed, chosen.transfer_steps, "rl", *DISABLED)
    return [
        row("AIRL, on the whole Ant", seed, airl / "result.json"),
        row("GAIL, on the whole Ant", seed, gail / "result.json"),
        row("GAIL's policy, disabled Ant", seed, played),
        row("PPO on AIRL's reward, disabled Ant", seed, moved / "result.json"),
        row("PPO on the task's reward, disabled Ant", seed, task / "result.json"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", type=Path, required=True, help="whole demonstrated episodes on Ant-v5")
    parser.add_argument("--steps", type=float, default=4e6, help="environment steps of AIRL")
    parser.add_argument("--gail-steps", type=float, default=1e6, help="environment steps of GAIL")
    parser.add_argument("--transfer-steps", type=float, default=2e6, help="environment steps on the disabled Ant")
    parser.add_argument("--seeds", type=int, nargs="+", default=[40, 41, 42])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    demos = without_forces(chosen.demos, chosen.out / "demos.npz")
    rows: list[dict[str, object]] = []
    for seed in chosen.seeds:
        rows += of_seed(seed, demos, chosen)
        with (chosen.out / "rows.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
