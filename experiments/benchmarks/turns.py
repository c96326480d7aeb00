"""A contender that trains in a process of its own and takes turns: one for each line on its standard input.

`image_throughput.py` starts it and reads its answers, a line of JSON each. Every contender's environment must provide
what is imported here: only torch.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The arguments of every contender."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--warm-up", type=int, default=100, help="updates before the first turn")
    parser.add_argument("--updates", type=int, default=600, help="updates in a turn")
    parser.add_argument("--threads", type=int, default=1, help="number of torch threads")
    return parser


class Turns:
    """Called after every update: answers when a turn is over, and waits for the next line. Exits when there is none."""

    def __init__(self, chosen: argparse.Namespace, versions: dict[str, str]):
        torch.set_num_threads(chosen.threads)
        self.cuda, self.updates, self.left = chosen.device == "cuda", chosen.updates, chosen.warm_up
        if self.cuda and not torch.cuda.is_available():
            sys.exit(f"expected a CUDA device; PyTorch {torch.__version__} of {sys.executable} sees none; use cpu")
        self.answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # output of libraries must not mix with the answers
        self.versions = versions
        self._start()

    def __call__(self) -> None:
        self.left -= 1
        if self.left:
            return
        if self.cuda:
            torch.cuda.synchronize()
        clocks = {"seconds": time.perf_counter() - self.since, "cpu_seconds": time.process_time() - self.cpu_since}
        print(json.dumps({**clocks, "versions": self.versions, **self.peak_mib()}), file=self.answers)
        if not sys.stdin.readline():
            sys.exit()
        self.left = self.updates
        self._start()

    def _start(self) -> None:
        self.since, self.cpu_since = time.perf_counter(), time.process_time()

    def peak_mib(self) -> dict[str, float]:
        """Peak memory so far, of the process and of torch on the GPU.

        Not `getrusage`: a new process inherits its parent's peak there.
        """
        status = Path("/proc/self/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        gpu = torch.cuda.max_memory_allocated() / 2**20 if self.cuda else 0.0
        return {"peak_memory_mib": kib / 2**10, "peak_gpu_memory_mib": gpu}
