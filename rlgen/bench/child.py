"""`python -m rlgen.bench.child --cores 0,1 --parent PID -- ARGUMENTS`: `rlgen ARGUMENTS` on some cores.

The training stops and saves when its worker dies, so that no training goes on without a lease (Linux only; elsewhere
the lock of the run folder keeps a second training out).
"""

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux' prctl


def pin(cores: list[int]) -> None:
    """Run on these cores only, where the system can."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def stop_with(parent: int) -> None:
    """Get SIGTERM when the process `parent` ends."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before
        sys.exit(128 + signal.SIGTERM)


def main(arguments: list[str]) -> None:
    cut = arguments.index("--")
    given = dict(zip(arguments[:cut:2], arguments[1:cut:2], strict=True))
    pin([int(core) for core in given.get("--cores", "").split(",") if core])
    stop_with(int(given["--parent"]))
    sys.argv = ["rlgen", *arguments[cut + 1 :]]
    runpy.run_module("rlgen.agents.cli", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main(sys.argv[1:])
