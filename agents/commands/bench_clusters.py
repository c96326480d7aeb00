"""Where the workers of `rlgen bench run` are: on this machine, on a Ray cluster, or in SLURM's queue."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.bench.folder import BenchFolder

log = logging.getLogger("rlgen")
SHORTEST = 5
"""Minutes, of which a job has the last three for saving."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where a benchmark's workers run."""

    on: Literal["local", "ray", "slurm"] = "local"
    """Place of the workers: this machine, a Ray cluster (extra `ray`), or jobs of SLURM (extra `slurm`)."""
    ray_address: str | None = None
    """Address of the Ray cluster, HOST:PORT; by default the cluster of this machine, else a new one on it."""
    slurm_partition: str | None = None
    """Partition of the jobs; by default SLURM's own."""
    slurm_time: int = 240
    """Time limit of a job in minutes; then it saves and returns to the queue."""
    slurm_extra: tuple[str, ...] = ()
    """Further options of sbatch, as NAME=VALUE: mem=8G gpus-per-node=1."""
    wait: bool = True
    """Waiting for the jobs of SLURM; without it the command ends when they are in the queue."""

    def __post_init__(self) -> None:
        for each in fields(Cluster):
            reader = each.name.partition("_")[0] if "_" in each.name else "slurm"
            if each.name != "on" and self.on != reader and getattr(self, each.name) != each.default:
                typed = "--no-wait" if each.name == "wait" else f"--{each.name.replace('_', '-')}"
                raise problem(f"options that --on {self.on} reads", typed, f"leave it out, or choose --on {reader}")
        if self.slurm_time < SHORTEST:
            raise problem(f"--slurm-time of at least {SHORTEST} minutes", str(self.slurm_time), "give a longer time")
        for word in self.slurm_extra:
            if not all(word.partition("=")):
                raise problem("--slurm-extra NAME=VALUE", word, "write an option of sbatch such as mem=8G")

    def train(self, folder: "BenchFolder", jobs: int, data: Path | None, say: Callable[[str], None]) -> bool:
        """Train the cells with `jobs` workers. Returns False if they have only been put in a queue."""
        if self.on == "ray":
            from rlgen.bench.ray_workers import run_on_ray

            run_on_ray(folder, jobs, address=self.ray_address, data=data, say=say)
        elif self.on == "slurm":
            return self._train_on_slurm(folder, jobs, data, say)
        else:
            from rlgen.bench.local import run_workers

            run_workers(folder, jobs, data=data, say=say)
        return True

    def _train_on_slurm(self, folder: "BenchFolder", jobs: int, data: Path | None, say: Callable[[str], None]) -> bool:
        from rlgen.bench.slurm import array_of, submit, wait_for

        extra = dict(word.split("=", 1) for word in self.slurm_extra)
        partition, minutes = self.slurm_partition, self.slurm_time
        found = submit(folder, jobs, partition=partition, minutes=minutes, extra=extra, data=data)
        say(f"job {array_of(found)} of SLURM: {jobs} workers")
        if self.wait:
            wait_for(found, folder, say)
        else:
            say(f"how far it is: rlgen bench status {folder.path}; its table: rlgen bench report {folder.path}")
        return self.wait
