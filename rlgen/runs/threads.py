"""How many threads torch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
