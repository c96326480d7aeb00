"""How many threads torch has."""

from rlgen.sim.pool import usable_cpus


def set_torch_threads(threads: int | None) -> None:
    """At most the usable cores; None leaves torch its own choice: the usable cores, or what OMP_NUM_THREADS says."""
    if threads is not None:
        import torch

        torch.set_num_threads(min(threads, usable_cpus()))
