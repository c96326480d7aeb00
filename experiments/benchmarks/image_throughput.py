"""Training speed of rlgen's VAE and pythae's, and of its DCGAN and a plain PyTorch loop, in turns: images/s.

    .venv/bin/python experiments/benchmarks/image_throughput.py --data MNIST --peer-python PLACE/bin/python

MNIST is the folder of the four files (default: `mnist` in RLGEN_DATA); PLACE has pythae, as `peer_pythae.py` says. The
VAE is 784-500-20 with a Bernoulli likelihood, the DCGAN has 64 and 128 channels; batches of 100, Adam, one torch
thread. rlgen's Adam is torch's fused one, the peers' torch's default unless their name says otherwise. The other
settings of each side are described in `own_images.py`, `peer_pythae.py` and `plain_dcgan.py`.

- pythae, plain loop: with torch's loader, as they are used; ratios are relative to these.
- plain loop, fakes anew: new fakes for the generator's step, not those of the discriminator's, so one more pass of
  the generator, as in the paper and in rlgen.
- rlgen, same images: binarized once, as pythae's are here. rlgen, defaults: binarized again in each batch.
- On CUDA also rlgen in bfloat16 and compiled, and both peers with batches by index, without the loader, whose share is
  small on a CPU.

Every contender is a process that warms up and then continues training in its turns: 400 updates, or 20 of the DCGAN on
a CPU. Only one trains at a time. Ratios are within a turn: of wall-clock time, and on a CPU of processor time too,
which is less sensitive to other load. Every turn is kept in results/image_throughput.csv with the load average before
it: run it on an idle machine. About 5 minutes on one core.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np
import torch

from rlgen.data import ImageSet
from rlgen.data.images import fixed_binarization
from rlgen.system.device import choose_device, device_name
from rlgen.system.pool import usable_cpus
from rlgen.system.versions import checkout_commit, cpu_name

HERE = Path(__file__).parent
BATCH, THREADS = 100, 1
COLUMNS = (
    "model", "contender", "turn", "images_per_second", "ratio", "images_per_cpu_second", "cpu_ratio", "peak_memory_mib",
    "peak_gpu_memory_mib", "updates", "device", "load_average", "cpu", "cores", "commit", "versions",
)  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One side of the race: `script` with `options`, under the interpreter that has its packages."""

    name: str
    script: str
    options: tuple[str, ...]
    python: Path = Path(sys.executable)


def contenders(model: str, chosen: argparse.Namespace, images: Path, cuda: bool) -> list[Contender]:
    """The peer first: ratios are relative to it."""
    seen, by_index = ("--images", str(images)), ("--batches", "index")
    own = (model, "--data", str(chosen.data))
    if model == "vae":
        fixed = (*own, "--binarize", "fixed")
        race = [
            Contender("pythae", "peer_pythae.py", seen, chosen.peer_python),
            Contender("pythae, fused Adam", "peer_pythae.py", (*seen, "--fused"), chosen.peer_python),
            Contender("rlgen, same images", "own_images.py", fixed),
            Contender("rlgen, defaults", "own_images.py", own),
        ]
        indexed = Contender("pythae, batches by index", "peer_pythae.py", (*seen, *by_index), chosen.peer_python)
    else:
        fixed = own
        race = [
            Contender("plain loop", "plain_dcgan.py", seen),
            Contender("plain loop, fused Adam", "plain_dcgan.py", (*seen, "--fused")),
            Contender("plain loop, fakes anew", "plain_dcgan.py", (*seen, "--fakes", "anew")),
            Contender("rlgen", "own_images.py", own),
        ]
        indexed = Contender("plain loop, batches by index", "plain_dcgan.py", (*seen, *by_index))
    if cuda:
        low = ("--precision", "bfloat16")
        race += [
            indexed,
            Contender("rlgen, compiled", "own_images.py", (*fixed, "--compile")),
            Contender("rlgen, bfloat16", "own_images.py", (*fixed, *low)),
            Contender("rlgen, bfloat16 and compiled", "own_images.py", (*fixed, *low, "--compile")),
        ]
    return race


class Process:
    """A contender at work, between its turns."""

    def __init__(self, child: subprocess.Popen[str], errors: IO[str]):
        self.child, self.errors = child, errors

    def turn(self) -> dict:
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        return self.answer()

    def answer(self) -> dict:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            self.errors.seek(0)
            sys.exit(f"{' '.join(map(str, self.child.args))} failed:\n{self.errors.read()[-2000:]}")
        return json.loads(line)


@contextmanager
def at_work(contender: Contender, settings: list[str]) -> Iterator[Process]:
    """A warmed-up contender. Leaving the block closes its input, which is the signal to stop."""
    command = [str(contender.python), str(HERE / contender.script), *contender.options, *settings]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, bufsize=1) as child,
    ):
        process = Process(child, errors)
        process.answer()
        yield process


def race(sides: list[Contender], turns: int, updates: int, warm_up: int, cuda: bool) -> Iterator[dict]:
    """All contenders in turn, `turns` times."""
    settings = ["--device", "cuda" if cuda else "cpu", "--updates", str(updates)]
    settings += ["--warm-up", str(warm_up), "--threads", str(THREADS)]
    with ExitStack() as stack:
        running = {side.name: stack.enter_context(at_work(side, settings)) for side in sides}
        for turn in range(turns):
            peer = peer_cpu = None
            for name, process in running.items():
                load = round(os.getloadavg()[0], 2)
                found = process.turn()
                speed, cpu_speed = (updates * BATCH / found[clock] for clock in ("seconds", "cpu_seconds"))
                peer, peer_cpu = peer or speed, peer_cpu or cpu_speed
                yield {
                    "contender": name,
                    "turn": turn,
                    "images_per_second": round(speed, 1),
                    "ratio": round(speed / peer, 3),
                    "images_per_cpu_second": round(cpu_speed, 1),
                    "cpu_ratio": round(cpu_speed / peer_cpu, 3),
                    "peak_memory_mib": round(found["peak_memory_mib"]),
                    "peak_gpu_memory_mib": round(found["peak_gpu_memory_mib"]),
                    "updates": updates,
                    "load_average": load,
                    "versions": " ".join(f"{package}={number}" for package, number in found["versions"].items()),
                }


def show(model: str, lines: list[dict]) -> None:
    """Medians over the turns, the lowest and highest ratio, and the peaks of memory."""
    for name in dict.fromkeys(line["contender"] for line in lines):
        own = [line for line in lines if line["contender"] == name]
        ratios = sorted(line["ratio"] for line in own)
        speed = median(line["images_per_second"] for line in own)
        ratio = f"{median(ratios):>6.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        text = f"{model:<7}{name:<30}{speed:>10,.0f} images/s {ratio:<24}"
        if own[-1]["peak_gpu_memory_mib"]:
            text += f"{own[-1]['peak_gpu_memory_mib']:>7,} MiB on the GPU"
        else:
            text += f"{median(line['cpu_ratio'] for line in own):>6.2f} x of the processor's time"
        print(f"{text}{own[-1]['peak_memory_mib']:>7,} MiB", flush=True)


def keep_images(data: Path, folder: Path) -> dict[str, Path]:
    """Images for the peers, bytes [N, 1, 28, 28]: for the VAE zeros and ones, the same draw that rlgen makes."""
    grey = ImageSet.load(data)
    paths = {model: folder / f"{model}.npy" for model in ("vae", "dcgan")}
    np.save(paths["vae"], fixed_binarization(grey).images.numpy())
    np.save(paths["dcgan"], grey.images.numpy())
    return paths


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("RLGEN_DATA")
    parser.add_argument("--data", type=Path, default=data and Path(data) / "mnist", help="folder of MNIST's files")
    parser.add_argument("--peer-python", type=Path, help="interpreter that has pythae")
    parser.add_argument("--models", nargs="+", choices=["vae", "dcgan"], default=["vae", "dcgan"])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--turns", type=int, default=7, help="number of turns of each contender")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "image_throughput.csv")
    chosen = parser.parse_args()
    if chosen.data is None:
        parser.error("--data: expected a folder of MNIST's files; none was given and RLGEN_DATA is not set; give one")
    if "vae" in chosen.models and chosen.peer_python is None:
        parser.error("--peer-python: expected the interpreter that has pythae; got none; give it, or --models dcgan")
    return chosen


def main() -> None:
    chosen = arguments()
    torch.set_num_threads(THREADS)  # as the contenders do
    device, sentence = choose_device(chosen.device)
    print(sentence)
    cuda = device.type == "cuda"
    # Before the file is opened: if it is tracked, writing it makes the checkout differ from its commit.
    machine = {"cpu": cpu_name(), "cores": usable_cpus(), "commit": checkout_commit()}
    machine["device"] = device_name(device)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, chosen.out.open("w", newline="") as stream:
        images = keep_images(chosen.data, Path(scratch))
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for model in chosen.models:
            lines = []
            slow = model == "dcgan" and not cuda
            updates, warm_up = (20, 5) if slow else (400, 100)
            sides = contenders(model, chosen, images[model], cuda)
            for line in race(sides, chosen.turns, updates, warm_up, cuda):
                lines.append(line)
                writer.writerow({"model": model, **line, **machine})
                stream.flush()
            show(model, lines)


if __name__ == "__main__":
    main()
