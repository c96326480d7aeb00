"""How long convolutions from and to few channels take on a CPU: PyTorch's own and those by patches, in turns.

    .venv/bin/python experiments/benchmarks/patch_convolutions.py

One thread; milliseconds of the processor's time, medians of the turns. `forward` is without gradients, `weights` and
`input` are a forward and a backward pass for these gradients, `penalty` is the gradient of a gradient penalty. Freed
memory is kept, as the command line does.
"""

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from rlgen.nn.patch_conv import PatchConv2d, PatchConvTranspose2d
from rlgen.system.allocation import keep_freed_memory
from rlgen.system.versions import checkout_commit, cpu_name

HALVES = {"kernel_size": 4, "stride": 2, "padding": 1}
DOWN = [
    (1, 64, 28, 100),
    (3, 64, 32, 100),
    (3, 64, 64, 32),
    (4, 64, 32, 100),
    (1, 32, 84, 64),
    (3, 32, 84, 64),
    (64, 128, 14, 100),
]
UP = [(64, 1, 14, 100), (64, 3, 16, 100), (64, 3, 32, 32), (32, 3, 42, 64), (128, 64, 7, 100)]
PIXEL = [(100, 128, 7, 100), (100, 256, 4, 100)]
"""Channels before and after, side of the image (for a pixel: of the kernel), images."""


def layers() -> dict[str, tuple[nn.Module, nn.Module, Tensor]]:
    """PyTorch's layer, ours with the same weights, and images, by name."""
    found: dict[str, tuple[nn.Module, nn.Module, Tensor]] = {}
    for fan_in, fan_out, side, images in DOWN:
        pair = nn.Conv2d(fan_in, fan_out, **HALVES), PatchConv2d(fan_in, fan_out, **HALVES)
        found[f"{fan_in} to {fan_out} channels, {side}², {images} images"] = (
            *pair,
            torch.randn(images, fan_in, side, side),
        )
    for fan_in, fan_out, side, images in UP:
        pair = nn.ConvTranspose2d(fan_in, fan_out, **HALVES), PatchConvTranspose2d(fan_in, fan_out, **HALVES)
        name = f"{fan_in} to {fan_out} channels, transposed, {side}², {images} images"
        found[name] = (*pair, torch.randn(images, fan_in, side, side))
    for fan_in, fan_out, kernel, images in PIXEL:
        pair = nn.ConvTranspose2d(fan_in, fan_out, kernel), PatchConvTranspose2d(fan_in, fan_out, kernel)
        found[f"{fan_in} to {fan_out} channels, a pixel to {kernel}², {images} images"] = (
            *pair,
            torch.randn(images, fan_in, 1, 1),
        )
    for own, patches, _ in found.values():
        patches.load_state_dict(own.state_dict())
    return found


def work(layer: nn.Module, images: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    seen, weights = images.clone().requires_grad_(), list(layer.parameters())

    def penalty() -> object:
        (slope,) = torch.autograd.grad(layer(seen).square().sum(), seen, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), weights, allow_unused=True)

    return {
        "forward": torch.no_grad()(lambda: layer(images)),
        "weights": lambda: torch.autograd.grad(layer(images).square().sum(), weights),
        "input": lambda: torch.autograd.grad(layer(seen).square().sum(), seen),
        "penalty": penalty,
    }


def milliseconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "patch_convolutions.csv")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    machine = {"cpu": cpu_name(), "commit": checkout_commit(), "torch": torch.__version__}
    rows = []
    for name, (own, patches, images) in layers().items():
        for what, first in work(own, images).items():
            sides = {"pytorch": first, "patches": work(patches, images)[what]}
            for run in sides.values():
                run()
            times = [{side: milliseconds(run) for side, run in sides.items()} for _ in range(chosen.turns)]
            medians = {side: round(median(each[side] for each in times), 2) for side in sides}
            ratio = round(median(each["pytorch"] / each["patches"] for each in times), 2)
            rows.append({"layer": name, "work": what, **medians, "ratio": ratio, **machine})
            print(f"{name:<60}{what:<10}{medians['pytorch']:>8} ms{medians['patches']:>8} ms{ratio:>8} x", flush=True)
    with chosen.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
