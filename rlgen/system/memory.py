"""Checks that a file's declared size fits into memory, before anything of that size is allocated."""

import os
from pathlib import Path

from rlgen.errors import problem

SHARE = 0.5
"""Share of the free memory that one file may fill; reading makes copies."""

UNPACKED = 128 * 2**20
"""Unpacked size in bytes that is allowed for a file of any size on disk."""

EXPANSION = 20
"""Largest allowed ratio of unpacked bytes to bytes on disk, above `UNPACKED`. Recorded data compress 2 to 10
times, zeros 1000 times."""

CGROUPS = Path("/sys/fs/cgroup")


def require_room(n_bytes: int, what: str, on_disk: int | None = None) -> None:
    """Check that `n_bytes` may be allocated for `what`.

    A file of a few kilobytes can declare terabytes: a header without data, chunks that were never written, a stride of
    0, megabytes of zeros in an archive. The declared size must therefore fit into half of the free memory. If the size
    on disk is known, the declared size may exceed 128 MiB only up to 20 times the size on disk. A file below 6 MiB can
    then allocate 128 MiB at most, which is below 1 GiB with the copies that reading makes.

    Args:
        n_bytes: bytes that will be allocated, as the file declares them.
        what: their purpose, e.g. "the arrays of ant.npz".
        on_disk: size of the file in bytes; None if it contains nothing compressed.

    Raises:
        InputError: too little memory, or a declared size out of proportion to the size on disk.
    """
    limit = int(SHARE * free_memory())
    if n_bytes > limit:
        raise problem(
            f"at most {_size(limit)}, half of the free memory",
            f"{_size(n_bytes)} for {what}",
            "check where the file is from; if its size is correct, free memory or use a smaller part of it",
        )
    if on_disk is not None and n_bytes > max(UNPACKED, EXPANSION * on_disk):
        raise problem(
            f"at most {_size(UNPACKED)}, or {EXPANSION} times the {_size(on_disk)} on disk",
            f"{_size(n_bytes)} for {what}",
            "check where the file is from; if its size is correct, write the file uncompressed",
        )


def free_memory() -> int:
    """Bytes that this process can still allocate: the least of the machine's available memory and what the limits of
    its control groups and of its address space allow."""
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
    """Bytes left under the limit of each control group (version 2) of this process, from its own up to the root."""
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
    """Bytes left under RLIMIT_AS, if it is set."""
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
    """A size with a binary unit, e.g. 3.1 GiB."""
    number, unit = float(n_bytes), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007
        if number < 1024:
            break
        number /= 1024
    return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
