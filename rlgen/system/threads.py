"""The number of threads that torch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rlgen.system.pool import usable_cpus


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Within the block torch uses `n` threads; afterwards as many as before, also after an error. Use one thread where
    other threads step environments: torch's idle threads spin and would occupy their cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def set_torch_threads(threads: int | None) -> None:
    """Let torch use `threads` threads, at most the usable CPUs. None keeps torch's default: the usable CPUs, or
    OMP_NUM_THREADS."""
    if threads is not None:
        torch.set_num_threads(min(threads, usable_cpus()))
