"""A forked process that runs cases one after another: imports stay warm, and a crash costs one case."""

import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from .canary import Watch
from .verdict import Verdict

GIB = 2**30
MOST_MEMORY = GIB
"""Bytes beyond what the worker had when the case began."""
CPU_LIMIT_S, WALL_LIMIT_S = 20, 90
"""A case hangs that computes or waits longer; the machine may be busy with others, so waiting may take longer."""
LIFETIME = 400
"""Cases until a new process is forked: what libraries keep adds up."""


class Worker:
    """Runs `case(number) -> Verdict` in a child; starts a new one where the last has died."""

    def __init__(self, case: Callable[[int], Verdict]):
        self.case = case
        self.pid = 0
        self.left = 0

    def run(self, number: int) -> Verdict:
        """The verdict of one case, whatever it does to the process."""
        if self.left == 0:
            self.close()
            self._start()
        self.left -= 1
        os.write(self.ask, f"{number}\n".encode())
        ready, _, _ = select.select([self.answer], [], [], WALL_LIMIT_S)
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
        line = self.answer.readline() if ready else ""
        if line:
            verdict = Verdict(**json.loads(line))
            if verdict.kind in ("memory", "code"):
                self.left = 0  # it is no longer what it was
            return verdict
        return self._died(by_us=not ready)

    def close(self) -> None:
        """End the child, if there is one."""
        if self.pid:
            os.close(self.ask)
            self.answer.close()
            os.waitpid(self.pid, 0)
            self.pid = 0

    def _start(self) -> None:
        gc.collect()  # what the child freed of ours would hide as much of what a case takes
        asked, self.ask = os.pipe()
        answer, answered = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.ask)
            os.close(answer)
            _serve(self.case, asked, answered)
        os.close(asked)
        os.close(answered)
        self.answer = os.fdopen(answer)
        self.left = LIFETIME

    def _died(self, by_us: bool) -> Verdict:
        os.close(self.ask)
        self.answer.close()
        status = os.waitpid(self.pid, 0)[1]
        self.pid = self.left = 0
        if by_us or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF):
            return Verdict(kind="hang", said=f"more than {WALL_LIMIT_S if by_us else CPU_LIMIT_S} s")
        if os.WIFSIGNALED(status):
            return Verdict(kind="signal", said=signal.Signals(os.WTERMSIG(status)).name)
        return Verdict(kind="signal", said=f"the process ended with {os.waitstatus_to_exitcode(status)}")


def _serve(case: Callable[[int], Verdict], asked: int, answered: int) -> NoReturn:
    """Answer until the pipe is closed. Never returns: what stands above on the stack is the parent's."""
    try:
        faulthandler.disable()  # pytest's would print the crashes that are asked for
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        _limit_address_space()
        watch = Watch()
        gc.collect()  # what the parent has left would be freed in a case, and hide what that one takes
        for line in os.fdopen(asked):
            began = _reset_peak()
            signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
            verdict = case(int(line))
            signal.setitimer(signal.ITIMER_PROF, 0)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began) * 1024
            if ran := watch.ran():
                verdict = Verdict(kind="code", said=ran)
            elif grown > MOST_MEMORY:
                verdict = Verdict(kind="memory", said=f"{grown / GIB:.1f} GiB; {verdict.kind}: {verdict.said}")
            os.write(answered, json.dumps(vars(verdict)).encode() + b"\n")
    finally:
        os._exit(0)


def _reset_peak() -> int:
    """The highest memory so far, KiB: from now on, where the system can."""
    with contextlib.suppress(OSError):  # Linux only
        Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _limit_address_space() -> None:
    """Enough for every honest case, and little enough that a dishonest one leaves the machine its memory."""
    if not sys.platform.startswith("linux"):
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 8 * GIB, resource.RLIM_INFINITY))


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
