"""The uncertainty of the Bayesian perceptron: its predictive standard deviation and the information gain of a point.

    .venv/bin/python experiments/figures/predictive_variance.py

The data lie on two stretches of a curve with a gap between. Above, mean and standard deviation of functions drawn from
the posterior; below, the information gain of observing the true curve at x. Writes predictive_variance.png next to
this file.
"""

import argparse
from pathlib import Path

import matplotlib
import torch
from torch import Tensor, nn

from rlgen.nn import BayesianMLP

matplotlib.use("Agg")
from matplotlib import pyplot as plt

NOISE_STD, LIKELIHOOD_STD = 0.05, 0.1


def curve(x: Tensor) -> Tensor:
    return torch.sin(2 * x)


def seen() -> tuple[Tensor, Tensor]:
    """Inputs and targets [120, 1]."""
    x = torch.cat([torch.linspace(-2, -1, 60), torch.linspace(1, 2, 60)]).unsqueeze(-1)
    return x, curve(x) + NOISE_STD * torch.randn_like(x)


def learned(x: Tensor, y: Tensor, updates: int) -> BayesianMLP:
    network = BayesianMLP([1, 32, 1], nn.Tanh, prior_std=1.0, initial_std=0.05, initial_mean_std=1.0)
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, updates)
    for _ in range(updates):
        optimizer.zero_grad()
        network.negative_elbo(x, y, len(x), 4, LIKELIHOOD_STD).backward()
        optimizer.step()
        schedule.step()
    return network


def draw(network: BayesianMLP, x: Tensor, y: Tensor, path: Path) -> None:
    at = torch.linspace(-4, 4, 321).unsqueeze(-1)
    with torch.no_grad():
        functions = network(at, 1000, "shared").squeeze(-1)
    mean, std, where = functions.mean(0), functions.std(0), at.squeeze(-1)
    repeated = at.repeat_interleave(256, 0)
    gain = network.information_gain(repeated, curve(repeated), LIKELIHOOD_STD, samples=3).view(-1, 256).mean(1)
    figure, (above, below) = plt.subplots(2, 1, figsize=(6, 5), sharex=True, height_ratios=[2, 1], layout="constrained")
    for deviations in (1, 2):
        above.fill_between(where, mean - deviations * std, mean + deviations * std, color="C0", alpha=0.2, lw=0)
    above.plot(where, mean, "C0", label="posterior mean, ±1 and ±2 deviations")
    above.plot(where, curve(where), "k:", label="true curve")
    above.plot(x, y, "C3.", ms=3, label="seen")
    above.set(ylabel="y", ylim=(-3, 3))
    above.legend(loc="upper right", fontsize=8)
    below.semilogy(where, gain, "C2")
    below.set(xlabel="x", ylabel="information gain\nof the true y [nats]")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = seen()
    draw(learned(*data, chosen.updates), *data, chosen.out)


if __name__ == "__main__":
    main()
