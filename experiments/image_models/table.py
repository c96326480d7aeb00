"""The image models' table: each model on MNIST, with its metric and the paper's or the best public number.

    python experiments/image_models/table.py train --data MNIST --runs runs/images --jobs 2
    python experiments/image_models/table.py collect --runs runs/images

MNIST is a folder of the four standard files. `train` first trains the classifier whose features FID and similar metrics
compare (extractor/), then runs `rlgen train image`, one thread each; finished runs are skipped and stopped ones
resumed, so it may be interrupted. `collect` writes results.csv (one row per run), table.md, the samples of the first
seed under samples/, and a curve per run under curves/; rows of runs that are not in the folder stay unchanged.
"""

import argparse
import csv
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from rlgen.data import ImageSet
from rlgen.generators.classifier_files import classifier_extractor
from rlgen.runs import Result, read_metrics
from rlgen.runs.batch import merge_rows, train_all

HERE = Path(__file__).parent
EXTRACTOR = HERE / "extractor"
POINTS = 50  # of a committed curve


@dataclass(frozen=True)
class Case:
    """A model with its seeds, and the metric of result.json that evaluates it."""

    name: str
    options: str
    """Options of `rlgen train image`."""
    metric: str
    goal: str
    """The goal for some ten minutes on two cores; set before any of these runs."""
    paper: str
    """The paper's number or the best public one, and its protocol where that differs."""
    seeds: int = 1
    best: str = "low"
    """Whether a low or a high value of the metric is good."""


F_DIVERGENCES = (
    "f_kl", "f_reverse_kl", "f_pearson", "f_neyman", "f_squared_hellinger", "f_jensen_shannon", "f_jeffreys",
)  # fmt: skip
PARZEN = {"f_kl": "416 (KL)", "f_jensen_shannon": "367 (JS)"}
HALF = "--game.precision bfloat16"
FALL = "convergence_fall"
CASES = (
    Case("vae", "--model vae --epochs 60 --importance-samples 500", "nll", "≤ 99", "89.8 (public runs)"),
    Case("iaf_vae", "--model iaf_vae --epochs 40 --importance-samples 500", "elbo", "diagonal posterior + 0.5",
         "-80.80 (ResNet)", best="high"),
    Case("iaf_vae_gaussian", "--model iaf_vae --iaf-vae.posterior gaussian --epochs 40 --importance-samples 500",
         "elbo", "–", "-84.08 (ResNet)", best="high"),
    Case("gan", "--model gan --epochs 15", "parzen", "≥ 150", "225 ± 2", best="high"),
    Case("cgan", "--model cgan --epochs 12", "conditional_accuracy", "≥ 0.90", "Parzen 132 ± 1.8", best="high"),
    Case("dcgan", f"--model dcgan --epochs 5 --dcgan.width 32 {HALF}", "probe_accuracy", "≥ 0.97", "0.828 (CIFAR-10)",
         best="high"),
    Case("infogan", f"--model infogan --epochs 5 --infogan.width 32 {HALF}", "code_accuracy", "≥ 0.70", "0.95", seeds=3,
         best="high"),
    *(Case(f"fgan_{name}", f"--model fgan --epochs 6 --fgan.divergence {name} --fgan.penalties.r1 0.1", "parzen", "–",
           PARZEN.get(name, "–"), best="high") for name in F_DIVERGENCES),
    Case("improved_gan", "--model improved_gan --epochs 3 --improved-gan.width 16", "fid", "–", "–"),
    Case("semi_supervised_gan", "--model semi_supervised_gan --labels 100 --batch-size 200 --epochs 15 "
         "--game.average 0.998 --game.half-life 6000", "test_error", "≤ 0.04", "0.0093 ± 0.0007", seeds=3),
    Case("vae_gan", f"--model vae_gan --epochs 4 --vae-gan.width 32 {HALF}", "fid", "below the VAE's", "–"),
    Case("lapgan", f"--model lapgan --epochs 4 --lapgan.width 16 {HALF}", "fid", "below the GAN's", "–"),
    Case("began", f"--model began --epochs 2 --batch-size 32 --began.filters 16 --began.generator-rate 5e-4 "
         f"--began.discriminator-rate 5e-4 {HALF}", FALL, "≥ 0.40", "–", best="high"),
)  # fmt: skip
SCORES = ("nll", "elbo", "parzen", "fid", "kid", "precision", "recall", "inception_score", "modes_hit")
FIELDS = (
    "case", "model", "seed", "steps", "images", "wall_seconds", "images_per_second", "parameters", *SCORES,
    "conditional_accuracy", "probe_accuracy", "code_accuracy", "test_error", FALL, "extractor_hash", "peak_memory_mb",
    "device", "git_commit",
)  # fmt: skip


def planned(data: Path, card: Path) -> dict[str, list[str]]:
    """Name of every run, and its command line after `rlgen`."""
    runs = {}
    for case in CASES:
        for seed in range(case.seeds):
            shared = ["--data", str(data), "--seed", str(seed), "--threads", "1", "--classifier", str(card)]
            runs[f"{case.name}-seed{seed}"] = ["train", "image", *case.options.split(), *shared]
    return runs


def extractor(data: Path) -> Path:
    """The card of the classifier, trained if it is missing."""
    classifier_extractor(ImageSet.load(data, "train"), ImageSet.load(data, "test"), EXTRACTOR)
    (card,) = EXTRACTOR.glob("*.json")
    return card


def collect(runs: Path) -> None:
    """results.csv, table.md, samples/ and curves/: the finished runs, and those of the file that are not in `runs`."""
    found = []
    for case in CASES:
        for path in sorted(runs.glob(f"{case.name}-seed*/result.json")):
            curve = read_metrics(path.parent)
            result = Result.read(path.parent).row()
            speed = result["images"] / result["wall_seconds"]
            found.append({"case": case.name, FALL: convergence_fall(curve), "images_per_second": speed, **result})
            write_curve(curve, HERE / "curves" / f"{path.parent.name}.csv")
            if found[-1]["seed"] == 0:
                (HERE / "samples").mkdir(exist_ok=True)
                shutil.copy(path.parent / "samples.png", HERE / "samples" / f"{case.name}.png")
    rows = merge_rows(HERE / "results.csv", found, FIELDS, key=("case", "seed"))
    text = "\n".join(table(rows)) + "\n"
    (HERE / "table.md").write_text(text)
    print(text)


def convergence_fall(curve: dict[str, np.ndarray]) -> float | None:
    """Relative decrease of BEGAN's convergence measure from the first hundredth of a run to its last tenth."""
    measure = curve.get("balance/convergence")
    if measure is None:
        return None
    first, last = (measure[part] for part in (slice(max(1, len(measure) // 100)), slice(-(len(measure) // 10), None)))
    return float(1 - np.nanmean(last) / np.nanmean(first))


def write_curve(curve: dict[str, np.ndarray], path: Path) -> None:
    """Every metric at `POINTS` steps, each the mean of the time before it."""
    path.parent.mkdir(exist_ok=True)
    parts = np.array_split(np.arange(len(curve["step"])), min(POINTS, len(curve["step"])))
    names = [name for name in curve if name != "step" and not name.startswith("time/")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", *names])
        for part in parts:
            known = [curve[name][part][np.isfinite(curve[name][part])] for name in names]
            writer.writerow(
                [int(curve["step"][part[-1]]), *(f"{each.mean():.5g}" if len(each) else "" for each in known)]
            )


def table(rows: list[dict]) -> Iterator[str]:
    """A line per case."""
    yield (
        "| model | metric | goal | best seed | all seeds | paper or best public | updates | minutes | device "
        "| command |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for case in CASES:
        group = [row for row in rows if row["case"] == case.name]
        if not group:
            continue
        found = [row[case.metric] for row in group]
        best = max(found) if case.best == "high" else min(found)
        minutes = mean(row["wall_seconds"] for row in group) / 60
        every = ", ".join(f"{value:.4g}" for value in found)
        yield (
            f"| {case.name} | {case.metric} | {case.goal} | {best:.4g} | {every} | {case.paper} "
            f"| {group[0]['steps']:,} | {minutes:.1f} | {group[0]['device']} | `{case.options}` |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "collect"])
    data = os.environ.get("RLGEN_DATA")
    parser.add_argument("--data", type=Path, default=data and Path(data) / "mnist", help="folder of MNIST's files")
    parser.add_argument("--runs", type=Path, default=Path("runs/images"), help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    chosen = parser.parse_args()
    if chosen.what == "collect":
        collect(chosen.runs)
        return
    if chosen.data is None:
        parser.error("--data: expected a folder of MNIST's files; none was given and RLGEN_DATA is not set; give one")
    runs = planned(chosen.data.resolve(), extractor(chosen.data))
    failed = train_all(
        chosen.runs, {name: options for name, options in runs.items() if chosen.only in name}, chosen.jobs
    )
    if failed:
        raise SystemExit(f"failed or stopped: {', '.join(failed)}")


if __name__ == "__main__":
    main()
