"""Is there room for what a file says it holds? Asked before anything of that size is allocated."""

import os
from pathlib import Path

from rlgen.errors import problem

SHARE = 0.5
"""Part of the free memory that one file may fill: what reads it makes copies."""

UNPACKED = 128 * 2**20
"""Bytes that any file may unpack to, however small it is."""

EXPANSION = 20
"""Bytes per byte on disk, beyond `UNPACKED`. Recorded numbers compress 2 to 10 times; zeros 1000 times."""

CGROUPS = Path("/sys/fs/cgroup")


def require_room(n_bytes: int, what: str, on_disk: int | None = None) -> None:
    """Passes if `n_bytes` may be allocated for `what`.

    A file of a few kilobytes can declare terabytes: a header with nothing behind it, chunks that were never written,
    a stride of 0, megabytes of zeros in an archive. So a declared size must fit into half of the free memory and, where
    the size on disk is known, may exceed 128 MiB only up to 32 times that size. No file below 6 MiB can then ask for
    more than 128 MiB, which leaves it below 1 GiB with the copies that reading makes.

    Args:
        n_bytes: bytes that will be allocated, as the file declares them.
        what: what they are for, e.g. "the arrays of ant.npz".
        on_disk: bytes that the file takes; None where it holds nothing packed.

    Raises:
        InputError: too little memory, or a size out of proportion to the file's.
    """
    limit = int(SHARE * free_memory())
    if n_bytes > limit:
        raise problem(
            f"at most {_size(limit)}, half of the free memory",
            f"{_size(n_bytes)} for {what}",
            "check where the file is from; if its size is true, free memory or take a smaller part of it",
        )
    if on_disk is not None and n_bytes > max(UNPACKED, EXPANSION * on_disk):
        raise problem(
            f"at most {_size(UNPACKED)}, or {EXPANSION} times the {_size(on_disk)} on disk",
            f"{_size(n_bytes)} for {what}",
            "check where the file is from: its size is out of proportion; if it is true, write the file uncompressed",
        )


def free_memory() -> int:
    """Bytes that this process can still allocate: the machine's available memory, or what its control group or its
    address space leaves, whichever is least."""
    limits = [_of_the_machine(), *_of_the_groups(), *_of_the_address_space()]
    return max(0, min(limits))


def _of_the_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    except OSError:
        found = None
    if found is not None:
        return int(found.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_the_groups() -> list[int]:
    """What the control groups (version 2) of this process leave, from its own up to the root."""
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
    except OSError:
        return []
    left = []
    for folder in [CGROUPS / own, *(CGROUPS / parent for parent in Path(own).parents)]:
        try:
            most, used = (int((folder / f"memory.{name}").read_text()) for name in ("max", "current"))
            pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such group, or "max": no limit
            continue
        left.append(most - used + int(pages.get("inactive_file", 0)))
    return left


def _of_the_address_space() -> list[int]:
    """What RLIMIT_AS leaves, where one is set."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most == resource.RLIM_INFINITY:
            return []
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return []
    return [most - used]


def _size(n_bytes: int) -> str:
    """With a binary unit, e.g. 3.1 GiB."""
    number, unit = float(n_bytes), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007
        if number < 1024:
            break
        number /= 1024
    return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
