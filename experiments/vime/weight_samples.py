"""How much VIME's bonus depends on its draw of weights, by the number S of weight samples.

    .venv/bin/python experiments/vime/weight_samples.py

PPO explores with VIME2016; both forms of VIME learn from the same rollouts of 5,000 steps. Before they learn from the
2nd, 10th and 30th, the gain of each of its transitions is drawn 20 times for each S. Columns: the rank correlation of
two draws (mean of ten pairs); the variance over the draws as a fraction of the mean's square, and how far the mean is
above that of 8 draws of 50 samples, as a fraction (medians over the transitions); wall-clock seconds of a draw, one
thread. Writes weight_samples.csv next to this file.
"""

import argparse
import csv
import time
from pathlib import Path

import torch
from few_large_updates import explored
from scipy.stats import spearmanr

from rlgen.data import Transitions
from rlgen.rewards import InformationGain, InformationGainConfig, TaskShape
from rlgen.rewards.information_gain import InformationGain2016Config

TASKS = ("rlgen/SparseMountainCar-v0", "rlgen/SparseHalfCheetah-v0")
FORMS = {"VIME2016": InformationGain2016Config, "VIME": InformationGainConfig}
SAMPLES, DRAWS, MOST, MEASURED = (1, 2, 5, 10, 20), 20, 50, (2, 10, 30)


def drawn(source: InformationGain, rollout: Transitions, samples: int, draws: int) -> torch.Tensor:
    """Gains [draws, B] of a rollout for the current model, each from `samples` weights."""
    inputs, targets = source.normalized(rollout)
    with torch.no_grad():
        std = source._likelihood_std(inputs)
    settings = std, source.config.step_size, samples
    return torch.stack([source.model.information_gain(inputs, targets, *settings) for _ in range(draws)]).double()


def measured(source: InformationGain, rollout: Transitions) -> list[tuple[int, float, float, float, float]]:
    """(S, rank correlation, relative variance, relative excess, seconds) for each S."""
    nearly_exact, lines = drawn(source, rollout, MOST, 8).mean(0), []
    for samples in SAMPLES:
        since = time.perf_counter()
        gains = drawn(source, rollout, samples, DRAWS)
        seconds = (time.perf_counter() - since) / DRAWS
        ranks = [spearmanr(*gains[pair : pair + 2])[0] for pair in range(0, DRAWS, 2)]
        variance = (gains.var(0) / gains.mean(0).square()).median()
        excess = (gains.mean(0) / nearly_exact - 1).median()
        lines.append((samples, sum(ranks) / len(ranks), float(variance), float(excess), seconds))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with chosen.out.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["task", "form", "seed", "rollout", "samples", "rank", "variance", "excess", "seconds"])
        for task in TASKS:
            for seed in range(chosen.seeds):
                rollouts = explored(max(MEASURED), seed, task)
                for form, config in FORMS.items():
                    torch.manual_seed(seed)
                    sizes = rollouts[0].observations.shape[1], rollouts[0].actions.shape[1]
                    source = InformationGain(TaskShape(observation_size=sizes[0], action_size=sizes[1]), config())
                    for number, rollout in enumerate(rollouts, 1):
                        for samples, *found in measured(source, rollout) if number in MEASURED else ():
                            row = [task, form, seed, number, samples, *(f"{value:.4g}" for value in found)]
                            lines.writerow(row)
                            print(*row)
                        source.update(rollout)


if __name__ == "__main__":
    main()
