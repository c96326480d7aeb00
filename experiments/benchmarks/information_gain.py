"""The closed form of VIME's information gain against per-sample gradients, on the dynamics model of Humanoid-v5.

    .venv/bin/python experiments/benchmarks/information_gain.py --out results.csv

One torch thread, float32, a Bayesian perceptron 365 → 64 → 348 (348 observations and 17 actions in, 348 out), a batch
of 2048 transitions, one weight sample. All contenders compute ½ λ² gᵀ H⁻¹ g of every row:

- closed form: `BayesianMLP.information_gain`.
- vmap(grad): torch.func's per-sample gradients of all parameters, in the chunks of rows that are fastest.
- vmap(grad), whole batch: the same at once, which needs memory for batch × parameters (0.75 GB here, several times).
- loop: one backward pass of autograd for each row, as VIME's released code has one Theano call. It is timed on the
  first `loop_rows` rows and scaled to the batch: `rows` says how many were timed.

That they agree is a test (tests/nn/test_bayesian_gain.py); here one row is compared again, in float64. The
contenders take turns; ratios are within a turn and of the processor time of this process, which other work on the
machine distorts less than wall-clock time. Both are kept, with the load average.
"""

import csv
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.func import functional_call, grad, vmap

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.nn import BayesianMLP
from rlgen.system.versions import checkout_commit, cpu_name

STEP, LIKELIHOOD_STD = 0.01, 0.5
Gain = Callable[[BayesianMLP, Tensor, Tensor, str], Tensor]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to measure and how often."""

    sizes: tuple[int, ...] = (365, 64, 348)
    """Inputs, hidden units and outputs of the network."""
    batch: int = 2048
    """Number of transitions whose gain is computed."""
    samplings: tuple[Literal["local", "shared"], ...] = ("local", "shared")
    """Ways to sample the weights."""
    vmap_chunk: int = 64
    """Rows of per-sample gradients at a time: the fastest of 16, 32, 64 and 256 where this was tried."""
    loop_rows: int = 128
    """Number of rows that the loop is timed on."""
    repetitions: int = 5
    """Turns of every contender, after one to warm up."""
    out: Path | None = None
    """CSV of every measurement; None to print only."""


@dataclass(frozen=True)
class Measurement:
    """One turn of one contender."""

    sampling: str
    contender: str
    repetition: int
    cpu_milliseconds_per_batch: float
    wall_milliseconds_per_batch: float
    rows: int
    batch: int
    sizes: str
    torch_threads: int
    load_average: float
    cpu: str
    torch: str
    commit: str | None


def closed_form(network: BayesianMLP, x: Tensor, y: Tensor, sampling: str) -> Tensor:
    return network.information_gain(x, y, LIKELIHOOD_STD, STEP, 1, sampling)


def quadratic_form(network: BayesianMLP, gradients: dict[str, Tensor]) -> Tensor:
    """½ λ² gᵀ H⁻¹ g of gradients with a leading dimension for rows: [B]."""
    total: Tensor | float = 0.0
    for name, gradient in gradients.items():
        rho = network.layers[int(name.split(".")[1])].rho.detach()
        inverse = torch.nn.functional.softplus(rho).square()
        if name.endswith("rho"):
            inverse = inverse / (2 * torch.sigmoid(rho).square())
        total = total + gradient.square().mul_(inverse).flatten(1).sum(1)
    return 0.5 * STEP**2 * total


def per_sample(chunk: int) -> Gain:
    """vmap(grad) over `chunk` rows at a time."""

    def gain(network: BayesianMLP, x: Tensor, y: Tensor, sampling: str) -> Tensor:
        parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}

        def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            output = functional_call(network, parameters, (x[None], 1, sampling))
            return -gaussian_log_prob(y, output, LIKELIHOOD_STD).sum()

        # "same": a weight sample shared by the rows; with local reparametrization rows have noise of their own.
        randomness = "same" if sampling == "shared" else "different"
        gradient = vmap(grad(loss), in_dims=(None, 0, 0), randomness=randomness)
        parts = zip(x.split(chunk), y.split(chunk), strict=True)
        return torch.cat([quadratic_form(network, gradient(parameters, *part)) for part in parts])

    return gain


def loop(network: BayesianMLP, x: Tensor, y: Tensor, sampling: str) -> Tensor:
    """One backward pass for each row."""
    parameters, gains = dict(network.named_parameters()), []
    for row in range(len(x)):
        loss = -gaussian_log_prob(y[row], network(x[row : row + 1], 1, sampling), LIKELIHOOD_STD).sum()
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        gains.append(quadratic_form(network, {n: g[None] for n, g in zip(parameters, gradients, strict=True)}))
    return torch.cat(gains)


def check(network: BayesianMLP, x: Tensor, y: Tensor, contenders: dict[str, tuple[Gain, int]], sampling: str) -> None:
    """Contenders must agree on one row in float64, with the same noise."""
    found = []
    for contender, _ in contenders.values():
        torch.manual_seed(1)
        found.append(contender(network.double(), x[:1].double(), y[:1].double(), sampling).item())
    network.float()
    assert max(found) - min(found) < 1e-12 * max(found), found


def clock(contender: Gain, network: BayesianMLP, x: Tensor, y: Tensor, sampling: str) -> tuple[float, float]:
    """Processor and wall-clock milliseconds of a call, averaged over the calls that fill 0.2 s of processor time."""
    calls, cpu, wall = 0, time.process_time(), time.perf_counter()
    while calls == 0 or time.process_time() - cpu < 0.2:
        contender(network, x, y, sampling)
        calls += 1
    return 1e3 * (time.process_time() - cpu) / calls, 1e3 * (time.perf_counter() - wall) / calls


def measure(protocol: Protocol) -> list[Measurement]:
    """Every contender in turn, `repetitions` times, after one turn to warm up."""
    torch.manual_seed(0)
    network = BayesianMLP(protocol.sizes, initial_std=0.05)
    x, y = torch.randn(protocol.batch, protocol.sizes[0]), torch.randn(protocol.batch, protocol.sizes[-1])
    contenders: dict[str, tuple[Gain, int]] = {
        "closed form": (closed_form, protocol.batch),
        "vmap(grad)": (per_sample(protocol.vmap_chunk), protocol.batch),
        "vmap(grad), whole batch": (per_sample(protocol.batch), protocol.batch),
        "loop": (loop, min(protocol.loop_rows, protocol.batch)),
    }
    where = cpu_name(), torch.__version__, checkout_commit()
    measurements = []
    for sampling in protocol.samplings:
        check(network, x, y, contenders, sampling)
        for repetition in range(-1, protocol.repetitions):
            for name, (contender, rows) in contenders.items():
                load = round(os.getloadavg()[0], 2)
                taken = [
                    round(each * protocol.batch / rows, 3)
                    for each in clock(contender, network, x[:rows], y[:rows], sampling)
                ]
                setting = rows, protocol.batch, "-".join(map(str, protocol.sizes)), torch.get_num_threads()
                if repetition >= 0:
                    measurements.append(Measurement(sampling, name, repetition, *taken, *setting, load, *where))
    return measurements


def report(measurements: list[Measurement]) -> Table:
    """Medians, and medians of the ratios of processor time within each turn."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.sampling, one.contender), []).append(one)
    table = Table(
        "sampling", "contender", "cpu ms", "wall ms", "cpu, closed form = 1", title="Information gain, medians"
    )
    for (sampling, name), own in groups.items():
        turns = zip(own, groups[sampling, "closed form"], strict=True)
        ratio = median(one.cpu_milliseconds_per_batch / ours.cpu_milliseconds_per_batch for one, ours in turns)
        cpu, wall = (median(getattr(one, f"{kind}_milliseconds_per_batch") for one in own) for kind in ("cpu", "wall"))
        table.add_row(sampling, name, f"{cpu:,.1f}", f"{wall:,.1f}", f"{ratio:.1f}")
    return table


def main(protocol: Protocol) -> None:
    torch.set_num_threads(1)
    measurements = measure(protocol)
    Console(width=100).print(report(measurements))
    if protocol.out:
        protocol.out.parent.mkdir(parents=True, exist_ok=True)
        with protocol.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
            writer.writeheader()
            writer.writerows(asdict(one) for one in measurements)


if __name__ == "__main__":
    main(tyro.cli(Protocol, description=__doc__))
