"""GAIL with one setting changed at a time, on Ant-v5 from 4 trajectories and Humanoid-v5 from 80.

    python experiments/gail/trials.py train --data DATA --runs runs/trials --jobs 2
    python experiments/gail/trials.py collect --runs runs/trials

DATA as for `table.py`, whose protocol and code this uses, with fewer environment steps (STEPS) and one seed.
`collect` writes trials.csv (one row per run) and trials.md (one row per setting).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from table import FIELDS, HERE, Cell, command_line

from rlgen.runs import Result

TRAJECTORIES = {"Ant-v5": 4, "Humanoid-v5": 80}
STEPS = {"Ant-v5": 4e5, "Humanoid-v5": 6e5}  # of the environment
VARIANTS = {
    "recipe": [],
    "discriminator rate falls to a tenth": ["--gail.discriminator.final-rate", "0.1"],
    "discriminator rate 1e-4": ["--gail.discriminator.learning-rate", "1e-4"],
    "discriminator rate 1e-3": ["--gail.discriminator.learning-rate", "1e-3"],
    "2 discriminator updates": ["--gail.discriminator.updates-per-rollout", "2"],
    "32 discriminator updates": ["--gail.discriminator.updates-per-rollout", "32"],
    "no penalty": ["--gail.penalties.gradient", "0"],
    "gradient penalty 10": ["--gail.penalties.gradient", "10"],
    "spectral norm instead": ["--gail.penalties.gradient", "0", "--gail.penalties.spectral-norm"],
    "entropy of D 1e-3": ["--gail.penalties.entropy", "1e-3"],
    "entropy of the policy 1e-3": ["--learner.entropy-weight", "1e-3"],
    "PPO batch 512": ["--learner.batch-size", "512"],
    "policy's rate constant": ["--learner.schedule", "constant"],
    "policy's rate falls linearly": ["--learner.schedule", "linear"],
    "no average of weights": ["--gail.average", "0"],
    "no warm start": ["--gail.no-warm-start"],
    "reward log D - log(1 - D)": ["--gail.discriminator.divergence", "reverse_kl"],
}  # fmt: skip


@dataclass(frozen=True)
class Trial(Cell):
    """A run of the table with one setting changed."""

    variant: str = "recipe"

    @property
    def name(self) -> str:
        return f"{self.env} {self.variant} seed{self.seed}".replace(" ", "_").replace("'", "")

    def arguments(self, data: Path) -> list[str]:
        return [*super().arguments(data), *VARIANTS[self.variant]]


def trials(seeds: int) -> list[Trial]:
    """All variants of one seed come before the next seed."""
    return [
        Trial(env, "gail", TRAJECTORIES[env], seed, STEPS[env], variant)
        for seed in range(seeds)
        for variant in VARIANTS
        for env in STEPS
    ]


def collect(runs: Path) -> None:
    """trials.csv and trials.md of the runs that are finished."""
    rows = []
    for trial in sorted(trials(9), key=lambda trial: (trial.env, list(VARIANTS).index(trial.variant), trial.seed)):
        result = runs / trial.name / "result.json"
        if result.exists():
            rows.append(
                {"variant": trial.variant, "trajectories": trial.trajectories, **Result.read(result.parent).row()}
            )
    with (HERE / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ("variant", *FIELDS), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "trials.md").write_text(table(rows))
    print(table(rows))


def table(rows: list[dict]) -> str:
    """Per setting and task: the mean return of every seed, the score, and the episodes that the task ended."""
    lines = [
        "| setting | " + " | ".join(f"{env}: return by seed | normalised | ended by the task" for env in STEPS) + " |",
        "|---|" + "---|---|---|" * len(STEPS),
    ]
    for variant in VARIANTS:
        cells = []
        for env in STEPS:
            group = [row for row in rows if row["variant"] == variant and row["env"] == env]
            if not group:
                cells += ["–", "–", "–"]
                continue
            means = [row["return_mean"] for row in group]
            score, ended = (
                sum(row[name] for row in group) / len(group) for name in ("normalised_return", "terminated")
            )
            cells += [", ".join(f"{mean:.0f}" for mean in means), f"{score:.2f}", f"{ended:.0%}"]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command_line(str(__doc__), trials, collect, Path("runs/trials"), seeds=1)
