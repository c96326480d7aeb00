"""Demonstrations in every format: inspected and converted, as `rlgen demos` does."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rlgen.agents.commands.demos import DemosConvert, DemosInspect

from . import demonstration_files as files
from .array_damage import damaged_npy, header_of, npy
from .arrow_damage import damage_arrow
from .byte_damage import damaged_bytes, damaged_file
from .hdf5_damage import damage_hdf5
from .json_damage import damaged_json
from .subject import Subject
from .zip_damage import damaged_zip

BOMB = header_of("<f4", (2**29, 1))


def damaged_npz(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of an .npz with one damage, and what it is."""
    return damaged_zip(rng, data, {".npy": _damaged_member}, BOMB)


def _damaged_member(rng: Generator, data: bytes) -> tuple[bytes, str]:
    if rng.random() < 0.1:
        return damaged_bytes(rng, data)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind == "U" and str(array).startswith("{") and rng.random() < 0.7:
        text, how = damaged_json(rng, str(array).encode())
        return npy(np.array(text.decode("utf-8", "replace"))), how
    return damaged_npy(rng, array)


def _damage_npz(rng: Generator, folder: Path) -> str:
    return damaged_file(rng, folder / "demos.npz", damaged_npz)


def _damage_hdf5(rng: Generator, folder: Path) -> str:
    return damage_hdf5(rng, next(folder.glob("demos.h*5")))


def _damage_minari(rng: Generator, folder: Path) -> str:
    data = folder / "demos" / "data"
    if rng.random() < 0.8:
        return damage_hdf5(rng, data / "main_data.hdf5")
    return damaged_file(rng, data / "metadata.json", damaged_json)


def _inspect_and_convert(folder: Path) -> None:
    path = next(path for path in sorted(folder.iterdir()) if path.name.startswith("demos"))
    DemosInspect(path=str(path)).run()
    DemosConvert(path=str(path), out=folder / "ours.npz").run()


def _damage_hugging_face(rng: Generator, folder: Path) -> str:
    return damage_arrow(rng, folder / "demos")


def _subject(name: str, damage: Callable[[Generator, Path], str]) -> Subject:
    write = getattr(files, f"write_{name.replace('-', '_')}")
    return Subject(name=name, example=name, build=write, damage=damage, use=_inspect_and_convert)


DEMONSTRATIONS = (
    *(_subject(name, _damage_npz) for name in ("rlgen", "rlgen-dictionaries", "episodes", "pairs", "imitation")),
    *(_subject(name, _damage_npz) for name in ("baselines", "stable-baselines")),
    *(
        _subject(name, _damage_hdf5)
        for name in ("d4rl", "d4rl-dictionaries", "robomimic", "tianshou", "openai-imitation")
    ),
    _subject("minari", _damage_minari),
    _subject("hugging-face", _damage_hugging_face),
)
