"""How many threads torch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rlgen.system.pool import usable_cpus


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Within the block torch uses `n` threads; afterwards, whatever happens in it, as many as before. One is best where
    others step environments: idle threads spin, and would take the cores from those that step."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def set_torch_threads(threads: int | None) -> None:
    """At most the usable cores; None leaves torch its own choice: the usable cores, or what OMP_NUM_THREADS says."""
    if threads is not None:
        torch.set_num_threads(min(threads, usable_cpus()))
