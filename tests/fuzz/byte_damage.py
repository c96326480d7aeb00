"""Damage that knows nothing of the format: a byte, a run of bytes, a cut, a splice."""

from collections.abc import Callable
from pathlib import Path

from numpy.random import Generator

TELLING = (0x00, 0x01, 0x7F, 0x80, 0xFF)
LONGEST_RUN = 64


def damaged_bytes(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """`data` with one damage, and what it is."""
    if not data:
        return b"\x00", "a byte in an empty file"
    kind = rng.choice(["byte", "byte", "run", "cut", "removed", "doubled", "moved", "end"])
    return {
        "byte": _byte,
        "run": _run,
        "cut": _cut,
        "removed": _removed,
        "doubled": _doubled,
        "moved": _moved,
        "end": _end,
    }[kind](rng, data)


def damaged_file(rng: Generator, path: Path, change: Callable[[Generator, bytes], tuple[bytes, str]]) -> str:
    """Damages a file in place by `change`, and says how."""
    damaged, how = change(rng, path.read_bytes())
    path.write_bytes(damaged)
    return f"{path.name}: {how}"


def _byte(rng: Generator, data: bytes) -> tuple[bytes, str]:
    place = int(rng.integers(len(data)))
    new = int(rng.choice([*TELLING, data[place] ^ (1 << int(rng.integers(8)))]))
    return data[:place] + bytes([new]) + data[place + 1 :], f"byte {place}: 0x{data[place]:02x} -> 0x{new:02x}"


def _run(rng: Generator, data: bytes) -> tuple[bytes, str]:
    start, length = _piece(rng, data)
    filler = rng.bytes(length) if rng.random() < 0.5 else bytes([int(rng.choice(TELLING))]) * length
    return data[:start] + filler + data[start + length :], f"bytes {start} to {start + length} -> {filler[:8].hex()} …"


def _cut(rng: Generator, data: bytes) -> tuple[bytes, str]:
    end = int(rng.integers(len(data)))
    return data[:end], f"cut at {end} of {len(data)} bytes"


def _removed(rng: Generator, data: bytes) -> tuple[bytes, str]:
    start, length = _piece(rng, data)
    return data[:start] + data[start + length :], f"bytes {start} to {start + length} removed"


def _doubled(rng: Generator, data: bytes) -> tuple[bytes, str]:
    start, length = _piece(rng, data)
    return data[: start + length] + data[start:], f"bytes {start} to {start + length} doubled"


def _moved(rng: Generator, data: bytes) -> tuple[bytes, str]:
    start, length = _piece(rng, data)
    target = int(rng.integers(len(data)))
    piece = data[start : start + length]
    return data[:target] + piece + data[target + length :], f"bytes {start} to {start + length} written over {target}"


def _end(rng: Generator, data: bytes) -> tuple[bytes, str]:
    more = rng.bytes(int(rng.integers(1, LONGEST_RUN)))
    return data + more, f"{len(more)} bytes after the end"


def _piece(rng: Generator, data: bytes) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, int(rng.integers(1, LONGEST_RUN))
