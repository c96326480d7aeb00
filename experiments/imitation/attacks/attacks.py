"""Returns of imitated policies whose observations are attacked, with and without adversarial training, on HalfCheetah.

    python attacks.py --demos HalfCheetah-v5_every20.npz --out DIR

Every policy is played without an attack and under PGD for each radius, in standard deviations of each observation
number. Runs lie in DIR and are resumed when the script is started again; DIR/rows.csv has a row per policy, seed and
radius, and DIR/table.md the means over seeds. Adversarial training is `--bc.attack fgsm` within 0.2 deviations for the
clone, also that of GAIL's warm start, and `--gail.penalties.fgsm 0.1` for the discriminator.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

ENV = "HalfCheetah-v5"
AGENTS = {
    "BC": ["bc"],
    "BC, attacked": ["bc", "--bc.attack", "fgsm", "--bc.noise", "0.2"],
    "GAIL": ["gail"],
    "GAIL, attacked discriminator": ["gail", "--gail.penalties.fgsm", "0.1"],
    "GAIL, attacked discriminator and warm start": [
        *("gail", "--gail.penalties.fgsm", "0.1"),
        *("--gail.bc.attack", "fgsm", "--gail.bc.noise", "0.2"),
    ],
}
COLUMNS = ["agent", "seed", "attack", "epsilon", "unit", "episodes", "return_mean", "return_std"]


def rlgen(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "rlgen", *arguments], check=True)


def trained(name: str, seed: int, chosen: argparse.Namespace) -> Path:
    """The finished run of an agent, begun or resumed as needed."""
    run = chosen.out / f"{name.lower().replace(', ', '-').replace(' ', '-')}-{seed}"
    if (run / "result.json").exists():
        return run
    if (run / "config.json").exists():
        rlgen("resume", str(run))
        return run
    command, *options = AGENTS[name]
    shared = ["--env", ENV, "--demos", chosen.demos, "--trajectories", chosen.trajectories, "--seed", str(seed)]
    length = [] if command == "bc" else ["--steps", str(chosen.steps)]
    updates = "--bc.max-updates" if command == "bc" else "--gail.bc.max-updates"
    size = [updates, str(chosen.max_updates), "--episodes", str(chosen.episodes), "--threads", "1", "--no-video"]
    rlgen("train", command, *options, *shared, *length, *size, "--out", str(run))
    return run


def played(name: str, seed: int, run: Path, epsilon: float, episodes: int) -> dict[str, object]:
    """A row: the policy of `run` under PGD within `epsilon`; without an attack for 0."""
    file = run / f"attacked-{epsilon:g}.json"
    if not file.exists():
        attack = ["--attack", "pgd", "--epsilon", str(epsilon)] if epsilon else []
        rlgen("evaluate", str(run), "--episodes", str(episodes), *attack, "--out", str(file))
    found = json.loads(file.read_text())
    row = {"agent": name, "seed": seed, "attack": found.get("attack", "none"), "epsilon": epsilon}
    row |= {"unit": found.get("attack_unit", "")}
    return row | {each: found[each] for each in ("episodes", "return_mean", "return_std")}


def table(rows: list[dict[str, object]]) -> str:
    """Mean return over seeds, a line per agent and a column per radius."""
    radii = sorted({float(str(row["epsilon"])) for row in rows})
    lines = ["| | " + " | ".join(f"ε = {each:g}" for each in radii) + " |", "|---" * (len(radii) + 1) + "|"]
    for name in dict.fromkeys(row["agent"] for row in rows):
        of = {
            r: [float(str(row["return_mean"])) for row in rows if (row["agent"], row["epsilon"]) == (name, r)]
            for r in radii
        }
        lines.append(
            f"| {name} | " + " | ".join(f"{mean(of[each]):,.0f}" if of[each] else "–" for each in radii) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", required=True, help=f"demonstrations on {ENV}")
    parser.add_argument("--trajectories", default="4", help="demonstrated episodes")
    parser.add_argument("--steps", type=float, default=1e6, help="environment steps of GAIL")
    parser.add_argument("--max-updates", type=int, default=10_000, help="most gradient steps of a cloning")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epsilons", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.4])
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=list(AGENTS))
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for seed in chosen.seeds:
        for name in chosen.agents:
            run = trained(name, seed, chosen)
            rows += [played(name, seed, run, epsilon, chosen.episodes) for epsilon in chosen.epsilons]
            with (chosen.out / "rows.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            (chosen.out / "table.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
