"""Damage to JSON that leaves it JSON: another type, an object for a list, a key too few, depth without end."""

import json
import math
from copy import deepcopy
from typing import Any

from numpy.random import Generator

from .byte_damage import damaged_bytes
from .canary import ENV_ID

DEEP = "\x01deep"
"""Stands for lists within lists, which Python's writer could not write."""
DEPTH = 100_000
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 0.5, -0.5, 1e-300, 1e308, 2**31, 2**63, 2**70, -(2**70)),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "x", "3", "nan", "é\u0000", "../../etc/passwd", ENV_ID, "a" * 5000),
    *([], [[]], [None], [1, 2], ["x"], {}, {"a": 1}, {"$": "tensor", "name": "x"}, {":serialized:": "gAN9cQAu"}, DEEP),
)
BRIEF = 60


def damaged_json(rng: Generator, text: bytes, most: float = math.inf) -> tuple[bytes, str]:
    """`text`, which is JSON, with one damage, and what it is; in a tenth of the cases it is no JSON any more. No whole
    number beyond `most` is put in."""
    if rng.random() < 0.1:
        return damaged_bytes(rng, text)
    whole = json.loads(text)
    places = list(_places(whole))
    place = places[int(rng.integers(len(places)))] if places and rng.random() < 0.9 else ()
    if not place:
        value = _odd(rng, most)
        return dumped(value), f"all of it -> {_brief(value)}"
    changed, how = _changed(rng, whole, place, most)
    return dumped(changed), how


def dumped(value: Any) -> bytes:
    """JSON with NaN and depth as Python's reader takes them."""
    text = json.dumps(value).replace(json.dumps(DEEP), "[" * DEPTH + "]" * DEPTH)
    return text.encode()


def _changed(rng: Generator, whole: Any, place: tuple[Any, ...], most: float) -> tuple[Any, str]:
    """A copy with the entry at `place` replaced, dropped, renamed, added to or exchanged."""
    changed = deepcopy(whole)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    key, where = place[-1], "/".join(str(part) for part in place)
    kind = rng.choice(["replace", "replace", "replace", "near", "drop", "add", "rename", "exchange"])
    if kind == "drop":
        del holder[key]
        return changed, f"{where} dropped"
    if kind in ("add", "rename"):
        old = holder.pop(key) if kind == "rename" else _odd(rng, most)
        if isinstance(holder, dict):
            holder["x" if rng.random() < 0.7 else ""] = old
        else:
            holder.insert(0, old)
        return changed, f"{where} {'renamed' if kind == 'rename' else f'joined by {_brief(old)}'}"
    if kind == "exchange":
        others = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        other = others[int(rng.integers(len(others)))]
        holder[key], holder[other] = holder[other], holder[key]
        return changed, f"{where} exchanged with {other}"
    value = _near(holder[key]) if kind == "near" else _odd(rng, most)
    holder[key] = value
    return changed, f"{where} -> {_brief(value)}"


def _near(value: Any) -> Any:
    """A value that looks almost like the old one."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return float(value) + 0.5
    if isinstance(value, float):
        return str(value)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return [list(pair) for pair in value.items()] if isinstance(value, dict) else "null"


def _odd(rng: Generator, most: float) -> Any:
    able = [value for value in ODD if not isinstance(value, int) or abs(value) <= most]
    return deepcopy(able[int(rng.integers(len(able)))])


def _places(value: Any, above: tuple[Any, ...] = ()) -> Any:
    """The path of every entry within."""
    if above:
        yield above
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from _places(item, (*above, key))


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"
