"""The processes that train one agent together, one for each GPU: those of torch.distributed, where it has begun.

Each has worlds of its own, and all draw the same random numbers and take the same steps. Every function here is called
by all of them, in the same order; of a single process it gives back what it was given.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed
from torch import Tensor

from rlgen.errors import problem


def count() -> int:
    """How many they are; 1 where there is only this one."""
    return torch.distributed.get_world_size() if _several() else 1


def number() -> int:
    """Which one this is, counted from 0. Number 0 is the one that writes."""
    return torch.distributed.get_rank() if _several() else 0


def own(rows: Tensor) -> Tensor:
    """This process's part [B / count, ...] of rows [B, ...] that all have drawn alike."""
    return rows.chunk(count())[number()]


def gather(rows: Tensor) -> Tensor:
    """[count · B, ...] of every process's [B, ...], in the order of their numbers."""
    if not _several():
        return rows
    everyone = rows.new_empty((count() * len(rows), *rows.shape[1:]))
    torch.distributed.all_gather(list(everyone.tensor_split(count())), rows.contiguous())
    return everyone


def draw(tensors: Sequence[Tensor], size: int, n: int) -> list[Tensor]:
    """`n` rows of each of `tensors`, the same of all, with replacement from the first `size`; of several processes each
    gives every count-th of them, and all get all of them."""
    share = -(-n // count())
    places = own(torch.randint(size, (share * count(),), device=tensors[0].device))
    return [_in_turn(gather(tensor[places]))[:n] for tensor in tensors]


def gather_at_first(rows: Tensor) -> Tensor | None:
    """`gather` for process 0 alone; the others get None."""
    if not _several():
        return rows
    parts = [torch.empty_like(rows) for _ in range(count())] if number() == 0 else None
    torch.distributed.gather(rows.contiguous(), parts)
    return None if parts is None else torch.cat(parts)


def total(value: Tensor) -> Tensor:
    """The sum over the processes."""
    if not _several():
        return value
    value = value.clone()
    torch.distributed.all_reduce(value)
    return value


def mean(value: Tensor) -> Tensor:
    """The mean over the processes."""
    return total(value) / count() if _several() else value


def largest(value: Tensor) -> Tensor:
    """The largest of the processes', element by element."""
    if not _several():
        return value
    value = value.clone()
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return value


def any_of(flag: bool) -> bool:
    """Whether one of them says so."""
    return bool(largest(torch.tensor(float(flag)))) if _several() else flag


def mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """Of all processes' values [B] together; the standard deviation has Bessel's correction."""
    if not _several():
        return values.mean(), values.std()
    n = len(values) * count()
    centre = mean(values.mean())
    return centre, (total((values - centre).square().sum()) / (n - 1)).sqrt()


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Give every parameter the mean of the processes' gradients, in one message."""
    if not _several():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    averages = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, average in zip(gradients, averages.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(average.view_as(gradient))


@torch.no_grad()
def agree(*modules: torch.nn.Module) -> None:
    """Give all the parameters and buffers that process 0 has, so that rounding does not add up to a difference."""
    if not _several():
        return
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            torch.distributed.broadcast(tensor.data, 0)


def agree_on_random_numbers() -> None:
    """Give all the generators of torch that process 0 has, wherever what came before drew more of them in one process
    than in another."""
    if not _several():
        return
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    states = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]
    for state in states:
        torch.distributed.broadcast(state, 0)
    torch.set_rng_state(states[0])
    if on_gpu:
        torch.cuda.set_rng_state(states[1])


def require_one(what: str) -> None:
    """Raise `InputError` where several processes train together, which `what` cannot."""
    if _several():
        raise problem(f"one process for {what}", f"{count()}", 'train with DevicePPO on backend="warp", or in one')


def wait() -> None:
    """Until all have come here."""
    any_of(False)


def _in_turn(rows: Tensor) -> Tensor:
    """Of the processes' rows one after the other: a first of each, then a second of each."""
    return rows.unflatten(0, (count(), -1)).transpose(0, 1).flatten(0, 1)


def _several() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
