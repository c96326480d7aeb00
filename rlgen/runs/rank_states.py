"""The states of processes that train together, in one process that can write them."""

import json
from typing import Any

import torch
from safetensors.torch import load, save

from rlgen import distributed
from rlgen.errors import problem
from rlgen.runs.state_tree import decode, encode

OTHERS = "others"


def with_others(state: dict[str, Any]) -> dict[str, Any]:
    """`state` as a checkpoint keeps it: in process 0 with those of the others, in the order of their numbers."""
    if distributed.world_size() == 1:
        return state
    tree, tensors = encode(state)
    parts = (json.dumps(tree).encode(), save(tensors))
    texts, data = (_gather_bytes(part) for part in parts)
    if distributed.rank() != 0:
        return state
    return {**state, OTHERS: [decode(json.loads(text), load(each)) for text, each in zip(texts, data, strict=True)]}


def own_state(state: dict[str, Any]) -> dict[str, Any]:
    """This process's part of what `with_others` gave. Raises `InputError` for the states of more or fewer processes."""
    others = state.get(OTHERS, [])
    if len(others) + 1 != distributed.world_size():
        came = f"{distributed.world_size()}"
        raise problem(f"{len(others) + 1} processes, as many as saved the checkpoint", came, "start as many")
    return [state, *others][distributed.rank()]


def _gather_bytes(own: bytes) -> list[bytes]:
    """In process 0 those of all the others: their lengths first, then all as long as the longest."""
    lengths = distributed.all_gather(torch.tensor([len(own)])).tolist()
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(own)] = torch.frombuffer(bytearray(own), dtype=torch.uint8)
    rows = distributed.gather_to_rank0(padded)
    if rows is None:
        return []
    others = zip(rows.view(distributed.world_size(), -1), lengths, strict=True)
    return [row[:length].numpy().tobytes() for row, length in others][1:]
