"""Memory that a training frees and allocates again in every update."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
KEPT, MAPPED_APART = 2**30, 32 * 2**20
"""Bytes free at the end of the heap that are kept, and the size of blocks that are given back in any case."""


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed blocks below 32 MiB for later ones, up to 1 GiB.

    By default it returns them to the system, which clears every page before it hands it out again, in every update of a
    model whose activations take megabytes. Does nothing where the environment configures glibc's malloc, or without
    glibc.
    """
    configured = {"GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & os.environ.keys()
    if configured or not sys.platform.startswith("linux"):
        return
    set_parameter = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_parameter is not None:
        set_parameter(MMAP_THRESHOLD, MAPPED_APART)
        set_parameter(TRIM_THRESHOLD, KEPT)
