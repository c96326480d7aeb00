"""Handling of Ctrl-C, SIGTERM and SIGUSR1: the first signal stops after the round and saves, the second stops at once.

Cluster schedulers, containers and shutdowns send SIGTERM. A scheduler can be configured to send SIGUSR1 some time
before it.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, ClassVar, Self

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""Signals that request a stop; Windows lacks the last one."""


class Stopped(Exception):
    """The signal `signum` requested a stop, and the state has been saved."""

    signum: int = signal.SIGINT


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C requested an immediate stop."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def exit_code(stop: Stopped | KeyboardInterrupt) -> int:
    """The exit code that a shell reports for a process ended by the signal: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + getattr(stop, "signum", signal.SIGINT)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Within the block, SIGTERM and SIGUSR1 raise `Terminated`, as Ctrl-C raises KeyboardInterrupt, so that files are
    closed and child processes ended."""
    with _handled([each for each in STOPS if each != signal.SIGINT], _stop_at_once):
        yield


class Interrupt:
    """Context in which the first signal sets `requested` instead of ending the process; the second one raises.

        with Interrupt("continue with `rlgen resume RUN`") as interrupt:
            while not finished and not interrupt.requested: …

    A `Stopped` raised within the block gets the number of the signal. At the end the earlier handlers are restored.
    Outside the main thread, where Python cannot handle signals, it does nothing.
    """

    one_request: ClassVar[float] = 0.0
    """Seconds after the first signal in which others count as the same request. Where a scheduler signals a process and
    its parent, and the parent passes the signal on, the second one must not cut the saving short."""

    def __init__(self, remedy: str = "") -> None:
        self.signum: int | None = None
        self._since = 0.0
        self._raises = False
        self._remedy = remedy
        self._handlers = contextlib.ExitStack()

    @property
    def requested(self) -> bool:
        return self.signum is not None

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """A block that the first signal ends by raising `Stopped`, for what nothing is lost by: the state is saved."""
        if self.requested:
            raise Stopped
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def __enter__(self) -> Self:
        self._handlers.enter_context(_handled(STOPS, self._handle))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.close()
        if isinstance(error, Stopped) and self.signum is not None:
            error.signum = self.signum

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and now - self._since < self.one_request:
            return
        if self.requested:
            _stop_at_once(signum, frame)
        self.signum, self._since = signum, now
        if self._raises:
            raise Stopped
        again = "Ctrl-C again" if signum == signal.SIGINT else f"{signal.Signals(signum).name} again"
        remedy = f"; {self._remedy}" if self._remedy else ""
        # os.write instead of print: a handler that interrupts a print must not use the same buffer.
        with contextlib.suppress(OSError):
            os.write(2, f"\nstopping after this round and saving ({again}: at once){remedy}\n".encode())


def _stop_at_once(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt if signum == signal.SIGINT else Terminated(signum)


@contextlib.contextmanager
def _handled(signums: list[signal.Signals], handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in signums}
    for each in before:
        signal.signal(each, handler)
    try:
        yield
    finally:
        for each, present in before.items():
            # None: the earlier handler was not set by Python, so Python cannot restore it.
            signal.signal(each, signal.SIG_DFL if present is None else present)
