"""How well the dynamics model predicts the next rollout, for a few large updates per rollout and for many tiny ones.

    .venv/bin/python experiments/vime/few_large_updates.py

PPO explores SparseHalfCheetah with VIME; its rollouts of 5,000 steps are kept, and every setting learns from the same
ones. Each rollout is predicted before it is learned: the loss is -E[log p(s'|s, a, θ)] in nats per transition, with a
likelihood std of 0.5 in all settings (a perfect prediction: 4.07 nats); the error is that of the posterior's mean, in
standard deviations of the observations. Time is CPU time of one thread. Writes few_large_updates.csv and .png next to
this file.
"""

import argparse
import csv
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CallbackList

from rlgen.agents import VIME2016
from rlgen.data import Transitions
from rlgen.envs import make_vec
from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.rewards import InformationGain, TaskShape
from rlgen.rewards.information_gain import InformationGain2016Config
from rlgen.sb3 import Relabel, WeightedReward

matplotlib.use("Agg")
from matplotlib import pyplot as plt

TASK, N_ENVS, N_STEPS = "rlgen/SparseHalfCheetah-v0", 8, 625
SETTINGS = {
    "released code: 500 updates of 10, 10 samples": InformationGain2016Config(
        updates_per_rollout=500, batch_size=10, samples=10, learning_rate=1e-3, initial_std=0.5
    ),
    "the same number of 256": InformationGain2016Config(
        updates_per_rollout=500, batch_size=256, samples=1, learning_rate=1e-3, initial_std=0.5
    ),
    "25 of 256, all else as released": InformationGain2016Config(
        updates_per_rollout=25, batch_size=256, samples=10, learning_rate=1e-3, initial_std=0.5
    ),
    "25 of 256 at ten times the rate": InformationGain2016Config(initial_std=0.5),
    "default: and from narrow weights": InformationGain2016Config(),
}


class Kept:
    """A reward source without a reward that keeps the rollouts."""

    def __init__(self) -> None:
        self.rollouts: list[Transitions] = []

    def update(self, batch: Transitions) -> dict[str, torch.Tensor]:
        self.rollouts.append(batch)
        return {}

    def reward(self, batch: Transitions) -> torch.Tensor:
        return torch.zeros(len(batch))

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None: ...


def explored(rollouts: int, seed: int, task: str = TASK) -> list[Transitions]:
    """Rollouts of an exploring policy."""
    env, kept = make_vec(task, N_ENVS, seed=seed, n_threads=1), Kept()
    model = PPO("MlpPolicy", env, n_steps=N_STEPS, batch_size=500, seed=seed, device="cpu")
    callbacks = CallbackList([Relabel({"kept": WeightedReward(kept)}, adds=True), VIME2016(eta=1e-2)])
    model.learn(rollouts * N_STEPS * N_ENVS, callbacks)
    env.close()
    return kept.rollouts


def followed(
    config: InformationGain2016Config, rollouts: list[Transitions], seed: int
) -> list[tuple[float, float, float]]:
    """(loss, error, CPU seconds of learning) of every rollout but the first."""
    torch.manual_seed(seed)
    sizes = rollouts[0].observations.shape[1], rollouts[0].actions.shape[1]
    source = InformationGain(TaskShape(observation_size=sizes[0], action_size=sizes[1]), config)
    lines = []
    for number, rollout in enumerate(rollouts):
        with torch.no_grad():
            inputs, targets = source.normalized(rollout)
            outputs = source.model(inputs, 16)
            loss = -gaussian_log_prob(targets, outputs, config.likelihood_std).sum(-1).mean()
            error = (outputs.mean(0) - targets).square().mean().sqrt()
        since = time.process_time()
        source.update(rollout)
        if number:
            lines.append((float(loss), float(error), time.process_time() - since))
    return lines


def draw(found: dict[str, np.ndarray], path: Path) -> None:
    """`found`: [seeds, rollouts, 3] for each setting."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for (name, lines), color in zip(found.items(), ("C7", "C0", "C1", "C2", "C3"), strict=True):
        label = f"{name} ({1e3 * np.median(lines[..., 2]):.0f} ms)"
        for axis, column in zip(axes, (0, 1), strict=True):
            values = lines[..., column]
            steps = N_STEPS * N_ENVS * np.arange(1, values.shape[1] + 1)
            axis.semilogy(steps, values.mean(0), color, label=label, lw=1.5)
            axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
    axes[0].set(xlabel="environment steps", ylabel="loss on the next rollout [nats]")
    axes[1].set(xlabel="environment steps", ylabel="error of the mean [standard deviations]")
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    streams = [explored(chosen.rollouts, seed) for seed in range(chosen.seeds)]
    found = {
        name: np.array([followed(config, stream, seed) for seed, stream in enumerate(streams)])
        for name, config in SETTINGS.items()
    }
    with chosen.out.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["setting", "seed", "rollout", "loss_nats", "error", "cpu_ms"])
        for name, of_seeds in found.items():
            for seed, of_rollouts in enumerate(of_seeds):
                for number, (loss, error, seconds) in enumerate(of_rollouts, 1):
                    lines.writerow([name, seed, number, f"{loss:.5g}", f"{error:.5g}", f"{1e3 * seconds:.4g}"])
    draw(found, chosen.out.with_suffix(".png"))
    for name, of_seeds in found.items():
        late = of_seeds[:, -10:].mean((0, 1))
        milliseconds = 1e3 * np.median(of_seeds[..., 2])
        print(f"{name:<50} {late[0]:8.2f} nats {late[1]:8.3f} {milliseconds:8.1f} ms")


if __name__ == "__main__":
    main()
