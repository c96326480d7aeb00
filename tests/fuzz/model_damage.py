"""Damage to models saved by Stable-Baselines3: their JSON, their tensors, the zip around them."""

import io
import pickle
from typing import Any

import torch
from numpy.random import Generator

from .byte_damage import damaged_bytes
from .canary import Payload
from .json_damage import damaged_json
from .zip_damage import damaged_zip

HUGE = (2**17, 2**17)


def damaged_model(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of an SB3 .zip with one damage, and what it is."""
    change = {"data": damaged_json, "policy.pth": damaged_weights, ".pth": damaged_weights}
    return damaged_zip(rng, data, change)


def damaged_weights(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of a torch file with other tensors, or other things, in it."""
    kind = rng.choice(["bytes", "pickle", "old pickle", "object", "tensor", "tensor", "tensor", "tensor"])
    if kind == "bytes":
        return damaged_bytes(rng, data)
    if kind == "pickle":
        return pickle.dumps(Payload()), "a pickle"
    if kind == "object":
        return _saved({"x": Payload()}), "a pickled object among the tensors"
    tensors: Any = torch.load(io.BytesIO(data), weights_only=True)
    if kind == "old pickle":
        return _saved(tensors, zipped=False), "torch's old file"
    if (
        not tensors
        or not isinstance(tensors, dict)
        or not all(isinstance(each, torch.Tensor) for each in tensors.values())
    ):
        return damaged_bytes(rng, data)  # an optimizer's
    changed, how = _other(rng, dict(tensors))
    return _saved(changed), how


def _other(rng: Generator, tensors: dict[Any, Any]) -> tuple[Any, str]:
    """The same dictionary with one entry changed."""
    names = list(tensors)
    name = names[int(rng.integers(len(names)))]
    old = tensors[name]
    values: dict[str, Any] = {
        "nan": torch.full_like(old, float("nan")) if old.is_floating_point() else old,
        "infinite": torch.full_like(old, float("inf")) if old.is_floating_point() else old,
        "1e38": torch.full_like(old, 1e38) if old.is_floating_point() else old,
        "empty": old[:0] if old.ndim else torch.zeros(0),
        "0-d": torch.tensor(1.0),
        "deeper": old[None],
        "turned": old.T if old.ndim == 2 else old.reshape(-1),
        "whole": old.to(torch.int64),
        "complex": old.to(torch.complex64),
        "half": old.to(torch.float16),
        "boolean": old != 0,
        "double": old.double(),
        "sparse": old.to_sparse(),
        "quantised": torch.quantize_per_tensor(old.float(), 0.1, 0, torch.qint8),
        "huge of stride 0": torch.zeros(1).expand(HUGE),
        "large of stride 0": torch.zeros(1).expand(2**14, 2**14),
        "meta": torch.empty(HUGE, device="meta"),
        "parameter": torch.nn.Parameter(old.float()),
        "wider": torch.zeros(old.shape[0] + 1 if old.ndim else 2, *old.shape[1:]),
        "number": 3.0,
        "text": "x",
        "none": None,
        "list": [old],
        "nested": {"a": old},
    }
    kind = str(
        rng.choice([*values, "dropped", "int name", "other name", "all nan", "none at all", "a list", "a tensor"])
    )
    if kind == "dropped":
        del tensors[name]
    elif kind in ("int name", "other name"):
        tensors[3 if kind == "int name" else f"{name}x"] = tensors.pop(name)
    elif kind == "all nan":
        tensors = {key: torch.full_like(value, float("nan")) for key, value in tensors.items()}
    elif kind in ("none at all", "a list", "a tensor"):
        return {"none at all": {}, "a list": [old], "a tensor": old}[kind], kind
    else:
        tensors[name] = values[kind]
    return tensors, f"{name}: {kind}"


def _saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()
