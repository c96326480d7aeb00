"""Damage to safetensors that stay whole as a file: shapes, types, names and offsets in the header, and the numbers."""

import json
import struct
from typing import Any

import numpy as np
from numpy.random import Generator

from .byte_damage import damaged_bytes
from .json_damage import damaged_json, dumped

TYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "C64", "X")
WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
NUMBERS = (np.nan, np.inf, 3e38, -1.0, 0.0)


def damaged_tensors(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of a safetensors file with one damage, and what it is."""
    kind = rng.choice(
        ["bytes", "header", "shape", "shape", "type", "numbers", "numbers", "dropped", "exchanged", "length"]
    )
    if kind == "bytes":
        return damaged_bytes(rng, data)
    length = struct.unpack("<Q", data[:8])[0]
    header, content = data[8 : 8 + length], bytearray(data[8 + length :])
    if kind == "length":
        size = int(rng.choice([0, 1, length - 1, length + 1, 2**40, 2**63]))
        return struct.pack("<Q", size) + header + content, f"a header of {size} bytes"
    if kind == "header":
        changed, how = damaged_json(rng, header)
        return struct.pack("<Q", len(changed)) + changed + content, f"header: {how}"
    entries = json.loads(header)
    names = [name for name in entries if name != "__metadata__"]
    name = names[int(rng.integers(len(names)))]
    how = _change(rng, kind, entries, names, name, content)
    packed = dumped(entries)
    return struct.pack("<Q", len(packed)) + packed + content, f"{name}: {how}"


def _change(rng: Generator, kind: str, entries: dict[str, Any], names: list[str], name: str, content: bytearray) -> str:
    """Changes the entries, or the numbers, in place, so that the file stays a valid one; says how."""
    entry = entries[name]
    start, end = entry["data_offsets"]
    if kind == "shape":
        return _shape(rng, entries, names, name, content)
    if kind == "type":
        width = (end - start) // max(1, int(np.prod(entry["shape"], dtype=np.int64)))
        same = [other for other in TYPES if WIDTH.get(other) == width]
        entry["dtype"] = str(rng.choice(same if rng.random() < 0.7 and same else TYPES))
        return f"type {entry['dtype']}"
    if kind == "dropped":
        del entries[name]
        _close_gap(entries, start, end, content)
        return "dropped"
    if kind == "exchanged":
        other = names[int(rng.integers(len(names)))]
        entries[name], entries[other] = entries[other], entries[name]
        return f"exchanged with {other}"
    number = float(rng.choice(NUMBERS))
    filler = {"F32": np.float32(number).tobytes(), "F64": np.float64(number).tobytes()}.get(entry["dtype"], b"\xff")
    content[start:end] = (filler * (end - start))[: end - start]
    return f"{number:g} everywhere" if entry["dtype"] in ("F32", "F64") else "bytes 0xff everywhere"


def _shape(rng: Generator, entries: dict[str, Any], names: list[str], name: str, content: bytearray) -> str:
    """Another shape of as many numbers, or none at all."""
    entry = entries[name]
    start, end = entry["data_offsets"]
    size = int(np.prod(entry["shape"], dtype=np.int64))
    kind = rng.choice(["none", "flat", "turned", "deeper", "one", "wrong"])
    if kind in ("none", "one"):
        keep = 0 if kind == "none" else (end - start) // max(1, size)
        entry["shape"], entry["data_offsets"] = [0] if kind == "none" else [], [start, start + keep]
        _close_gap(entries, start + keep, end, content)
    else:
        shapes = {"flat": [size], "turned": entry["shape"][::-1], "deeper": [1, *entry["shape"]], "wrong": [size + 1]}
        entry["shape"] = shapes[str(kind)]
    return f"shape {entry['shape']}"


def _close_gap(entries: dict[str, Any], start: int, end: int, content: bytearray) -> None:
    """Takes bytes out of the content and moves what lies behind them."""
    del content[start:end]
    for name, entry in entries.items():
        if name != "__metadata__" and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [place - (end - start) for place in entry["data_offsets"]]
