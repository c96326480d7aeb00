"""The states of all processes of a training, gathered in the process that writes them."""

import json
from typing import Any

import torch
from safetensors.torch import load, save

from rlgen import distributed
from rlgen.errors import problem
from rlgen.runs.state_tree import decode, encode

OTHERS = "others"


def with_others(state: dict[str, Any]) -> dict[str, Any]:
    """`state` as a checkpoint stores it: in process 0 with those of the others, ordered by rank."""
    if distributed.world_size() == 1:
        return state
    tree, tensors = encode(state)
    parts = (json.dumps(tree).encode(), save(tensors))
    texts, data = (_gather_bytes(part) for part in parts)
    if distributed.rank() != 0:
        return state
    return {**state, OTHERS: [decode(json.loads(text), load(each)) for text, each in zip(texts, data, strict=True)]}


def own_state(state: dict[str, Any]) -> dict[str, Any]:
    """This process's state in the result of `with_others`. Raises `InputError` for states of more or fewer
    processes."""
    others = state.get(OTHERS, [])
    if len(others) + 1 != distributed.world_size():
        got = f"{distributed.world_size()}"
        raise problem(f"{len(others) + 1} processes, as many as saved the checkpoint", got, "start as many")
    return [state, *others][distributed.rank()]


def _gather_bytes(own: bytes) -> list[bytes]:
    """In process 0 the messages of all others: first their lengths, then the messages, padded to the longest."""
    lengths = distributed.all_gather(torch.tensor([len(own)])).tolist()
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(own)] = torch.frombuffer(bytearray(own), dtype=torch.uint8)
    rows = distributed.gather_to_rank0(padded)
    if rows is None:
        return []
    others = zip(rows.view(distributed.world_size(), -1), lengths, strict=True)
    return [row[:length].numpy().tobytes() for row, length in others][1:]
