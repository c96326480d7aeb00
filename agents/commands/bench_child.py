"""`python -m rlgen.agents.commands.bench_child --cores 0,1 --parent PID -- ARGUMENTS`: `rlgen ARGUMENTS` on some cores.

With `--cell ID --planned JSON`, the command line of a cell, it first requires that the cell still has its identity:
demonstrations, an agent's source or a file of settings may have changed since it was planned, or be others on this
machine. The training stops and saves when its worker dies, so that no training goes on without a lease (Linux only;
elsewhere the lock of the run folder keeps a second training out).
"""

import ctypes
import json
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


def require_identity(cell: str, planned: list[str]) -> None:
    """Exit with `CHANGED` unless the cell's command line still has its identity."""
    import rlgen
    from rlgen.bench.identity import identity_of
    from rlgen.bench.worker import CHANGED
    from rlgen.errors import InputError, problem, reason

    from .bench_planning import margin_rule, resolved

    try:
        found = identity_of(resolved(planned), rlgen.__version__, margin_rule())
    except (InputError, ImportError) as error:  # such as a module or a file that only the planning machine has
        print(f"{reason(error)} (as the cell was planned elsewhere)", file=sys.stderr)
        sys.exit(CHANGED)
    if found != cell:
        got = f"{found}: demonstrations, source of the agent or a file of settings differ from those of the plan"
        remedy = "restore them on this machine, or `rlgen bench run` the protocol again"
        print(problem(f"the cell {cell} as it was planned", got, remedy), file=sys.stderr)
        sys.exit(CHANGED)


def main(arguments: list[str]) -> None:
    cut = arguments.index("--")
    given = dict(zip(arguments[:cut:2], arguments[1:cut:2], strict=True))
    pin([int(core) for core in given.get("--cores", "").split(",") if core])
    stop_with(int(given["--parent"]))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does
    if "--cell" in given:
        require_identity(given["--cell"], json.loads(given["--planned"]))
    from rlgen.system.interrupt import Interrupt

    Interrupt.one_request = 60.0  # the worker passes on what the scheduler may have sent to all processes of the job
    sys.argv = ["rlgen", *arguments[cut + 1 :]]
    runpy.run_module("rlgen.agents.cli", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main(sys.argv[1:])
