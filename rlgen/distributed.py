"""Data-parallel training by several processes, one per GPU, over torch.distributed.

Each process has its own environments; all draw the same random numbers and take the same gradient steps. All processes
call every function here in the same order. In a single process a function returns its input.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed
from torch import Tensor

from rlgen.errors import problem


def world_size() -> int:
    """Number of processes; 1 without torch.distributed."""
    return torch.distributed.get_world_size() if _is_distributed() else 1


def rank() -> int:
    """Number of this process, from 0. Process 0 writes files."""
    return torch.distributed.get_rank() if _is_distributed() else 0


def local_rows(rows: Tensor) -> Tensor:
    """This process's share [B / world_size, ...] of rows [B, ...] that are the same in all."""
    return rows.chunk(world_size())[rank()]


def all_gather(rows: Tensor) -> Tensor:
    """The rows [world_size · B, ...] of all processes, in the order of their ranks."""
    if not _is_distributed():
        return rows
    everyone = rows.new_empty((world_size() * len(rows), *rows.shape[1:]))
    torch.distributed.all_gather(list(everyone.tensor_split(world_size())), rows.contiguous())
    return everyone


def draw(tensors: Sequence[Tensor], size: int, n: int) -> list[Tensor]:
    """`n` rows of each of `tensors`, at the same random places among the first `size`, with replacement. Each process
    contributes every world_size-th row, and all processes get all rows."""
    share = -(-n // world_size())
    places = local_rows(torch.randint(size, (share * world_size(),), device=tensors[0].device))
    return [_in_turn(all_gather(tensor[places]))[:n] for tensor in tensors]


def gather_to_rank0(rows: Tensor) -> Tensor | None:
    """`all_gather` for process 0 alone; None in the others."""
    if not _is_distributed():
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size())] if rank() == 0 else None
    torch.distributed.gather(rows.contiguous(), parts)
    return None if parts is None else torch.cat(parts)


def all_reduce_sum(value: Tensor) -> Tensor:
    """The sum over the processes."""
    if not _is_distributed():
        return value
    value = value.clone()
    torch.distributed.all_reduce(value)
    return value


def all_reduce_mean(value: Tensor) -> Tensor:
    """The mean over the processes."""
    return all_reduce_sum(value) / world_size() if _is_distributed() else value


def all_reduce_max(value: Tensor) -> Tensor:
    """The element-wise maximum over the processes."""
    if not _is_distributed():
        return value
    value = value.clone()
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return value


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    return bool(all_reduce_max(torch.tensor(float(flag)))) if _is_distributed() else flag


def mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (with Bessel's correction) of the values [B] of all processes."""
    if not _is_distributed():
        return values.mean(), values.std()
    n = len(values) * world_size()
    center = all_reduce_mean(values.mean())
    return center, (all_reduce_sum((values - center).square().sum()) / (n - 1)).sqrt()


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if not _is_distributed():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    averages = all_reduce_mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, average in zip(gradients, averages.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(average.view_as(gradient))


@torch.no_grad()
def broadcast_parameters(*modules: torch.nn.Module) -> None:
    """Copy the parameters and buffers of process 0 to all, so that rounding errors do not add up."""
    if not _is_distributed():
        return
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            torch.distributed.broadcast(tensor.data, 0)


def broadcast_random_state() -> None:
    """Copy torch's random generators of process 0 to all, after work that may have drawn more numbers in one process
    than in another."""
    if not _is_distributed():
        return
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]
    for state in states:
        torch.distributed.broadcast(state, 0)
    torch.set_rng_state(states[0])
    if on_gpu:
        torch.cuda.set_rng_state(states[1])


def require_single_process(what: str) -> None:
    """Raise `InputError` in a training by several processes, which `what` does not support."""
    if _is_distributed():
        raise problem(f"one process for {what}", f"{world_size()}", 'train with DevicePPO on backend="warp", or in one')


def barrier() -> None:
    """Wait until all processes are here."""
    any_of(False)


def _in_turn(rows: Tensor) -> Tensor:
    """Rows of the processes in turn: the first of each, then the second of each."""
    return rows.unflatten(0, (world_size(), -1)).transpose(0, 1).flatten(0, 1)


def _is_distributed() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
