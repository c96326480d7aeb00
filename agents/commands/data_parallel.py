"""One training by several processes, one per GPU: `torchrun --nproc-per-node 8 --no-python rlgen train …`."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed

# An optimizer's first step imports it. Imported after the process group exists, its default arguments would keep the
# group and the group's threads alive until Python ends, and threads that still work then abort the process.
import torch.distributed.nn

from rlgen import distributed
from rlgen.errors import problem

log = logging.getLogger("rlgen")


@contextmanager
def joined(device: str) -> Iterator[None]:
    """A context in which the processes that torchrun started form one group (`rlgen.distributed`), each with the GPU of
    its local rank. Without torchrun it does nothing."""
    if not torch.distributed.is_torchelastic_launched():
        yield
        return
    if device.startswith("cuda:"):
        raise problem("a device for all processes", device, "use --device cuda: each process takes its own GPU")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        here, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if here >= gpus:
            raise problem(f"at most {gpus} processes on a machine of {gpus} GPUs", f"{here + 1}", "start fewer")
        torch.cuda.set_device(here)
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    if distributed.rank() != 0:
        log.setLevel(logging.WARNING)  # one log is enough
    log.info("%d processes train together%s", distributed.world_size(), ", each on a GPU" if on_gpu else "")
    yield
    # Skipped after an error: torchrun then ends the other processes, which may be waiting for this one.
    distributed.barrier()  # torchrun ends all processes with the first one, and process 0 may still be writing
    torch.distributed.destroy_process_group()


def share_of(config: Any) -> Any:
    """The settings of one process of a group that together trains by `config`: its share of the environments and of the
    rows of a gradient step. Raises `InputError` if they cannot be divided equally."""
    n = distributed.world_size()
    if n == 1:
        return config
    learner: Any = getattr(config, "learner", None)
    if learner is None or config.backend != "warp":
        got = f"{n} of `train {config.agent}` on the backend {config.backend}"
        raise problem("one process, or PPO on --backend warp", got, "start it without torchrun, or on that backend")
    for name, value in (("--n-envs", config.n_envs), ("--learner.batch-size", learner.batch_size)):
        if value % n:
            raise problem(f"{name} that {n} processes can share", str(value), f"give a multiple of {n}")
    own = replace(learner, batch_size=learner.batch_size // n)
    return replace(config, n_envs=config.n_envs // n, learner=own)
