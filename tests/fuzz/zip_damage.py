"""Damage to zip archives and their members: an .npz, a saved model, a torch file."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from numpy.random import Generator

from .byte_damage import damaged_bytes

Change = Callable[[Generator, bytes], tuple[bytes, str]]
MIB = 2**20
BOMB_MIB = 1280
METHODS = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2, "stored": zipfile.ZIP_STORED}


def members_of(data: bytes) -> dict[str, bytes]:
    """The unpacked members by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive whose bytes the members alone decide."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # of the year 1980, not of now
            info.compress_type = method
            archive.writestr(info, data)
    return file.getvalue()


def damaged_zip(rng: Generator, data: bytes, change: Mapping[str, Change], bomb: bytes = b"") -> tuple[bytes, str]:
    """The archive with one damage. `change`: how a member is damaged, by the end of its name. `bomb`: how a member
    begins that unpacks to gigabytes."""
    kind = rng.choice(["member"] * 8 + ["bytes"] * 3 + ["packed", "names", "method", "bomb"])
    if kind == "bytes":
        return damaged_bytes(rng, data)
    members = members_of(data)
    name = list(members)[int(rng.integers(len(members)))]
    if kind == "packed":
        word = str(rng.choice(list(METHODS)))
        damaged, how = damaged_bytes(rng, zipped(members, METHODS[word]))
        return damaged, f"packed by {word}, then {how}"
    if kind == "method":
        return _patched(rng, zipped(members), name)
    if kind == "names":
        return _renamed(rng, members, name)
    if kind == "bomb":
        return bombed(members, name, bomb), f"{name} unpacks to {BOMB_MIB} MiB"
    suits = next((found for end, found in change.items() if name.endswith(end)), damaged_bytes)
    members[name], how = suits(rng, members[name])
    return zipped(members), f"{name}: {how}"


def bombed(members: Mapping[str, bytes], name: str, head: bytes) -> bytes:
    """`name` begins with `head` and goes on with gigabytes of zeros, packed as by an honest writer."""
    packer = zlib.compressobj(9, wbits=-15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = start + block * BOMB_MIB + packer.flush()
    size = len(head) + BOMB_MIB * MIB
    archive = bytearray(zipped({**members, name: packed}))
    for signature, method, unpacked in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        place = _header(archive, signature, name)
        struct.pack_into("<H", archive, place + method, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", archive, place + unpacked, size)
    return bytes(archive)


def _patched(rng: Generator, archive: bytes, name: str) -> tuple[bytes, str]:
    """Flags, method or sizes of one entry, in both of its headers."""
    field, near, far, layout, values = (
        ("flags", 6, 8, "<H", (1, 0x800, 0xFFFF)),
        ("method", 8, 10, "<H", (1, 8, 9, 12, 14, 93, 99)),
        ("size", 22, 24, "<I", (0, 1, 2**31, 2**32 - 2)),
        ("packed size", 18, 20, "<I", (0, 1, 2**31, 2**32 - 2)),
    )[int(rng.integers(4))]
    value = int(rng.choice(values))
    changed = bytearray(archive)
    for signature, place in ((b"PK\x03\x04", near), (b"PK\x01\x02", far)):
        struct.pack_into(layout, changed, _header(changed, signature, name) + place, value)
    return bytes(changed), f"{name}: {field} {value} in the zip's headers"


def _header(archive: bytes | bytearray, signature: bytes, name: str) -> int:
    """Where the entry's header of that kind begins."""
    length = {b"PK\x03\x04": 30, b"PK\x01\x02": 46}[signature]
    place = -1
    while True:
        place = archive.index(signature, place + 1)
        if archive[place + length : place + length + len(name)] == name.encode():
            return place


def _renamed(rng: Generator, members: dict[str, bytes], name: str) -> tuple[bytes, str]:
    kind = rng.choice(["dropped", "x", "../../x.npy", "/x", name.upper(), "é.npy", "exchanged"])
    if kind == "dropped":
        return zipped({key: data for key, data in members.items() if key != name}), f"{name} dropped"
    if kind == "exchanged":
        other = list(members)[int(rng.integers(len(members)))]
        return zipped({**members, name: members[other], other: members[name]}), f"{name} exchanged with {other}"
    return zipped({kind if key == name else key: data for key, data in members.items()}), f"{name} renamed to {kind}"
