"""Ctrl-C: the first one asks for a stop after the round and a checkpoint, the second stops at once."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Stopped(Exception):
    """The user asked to stop; the state has been saved."""


class Interrupt:
    """While active, Ctrl-C sets `requested` instead of raising; a second one raises KeyboardInterrupt.

        with Interrupt("continue with `rlgen resume RUN`") as interrupt:
            while not finished and not interrupt.requested: …

    The handler before it is put back at the end. Outside the main thread Python has no signals, and this does nothing.
    """

    def __init__(self, remedy: str = "") -> None:
        self.requested = False
        self._remedy = remedy
        self._previous: Any = None
        self._active = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._active = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            # None: the handler before was not Python's, and Python cannot put it back.
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._previous is None else self._previous)
            self._active = False

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        remedy = f"; {self._remedy}" if self._remedy else ""
        # Not print: a handler that interrupts a print may not print through the same buffer.
        os.write(2, f"\nstopping after this round and saving (Ctrl-C again: at once){remedy}\n".encode())
