"""The first Ctrl-C asks, the second stops, and afterwards Ctrl-C is what it was."""

import os
import signal
import threading

import pytest

from rlgen.runs.interrupt import Interrupt


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_ctrl_c_asks_for_a_stop_and_says_how_to_go_on(capfd):
    with Interrupt("continue with `rlgen resume RUN`") as interrupt:
        assert not interrupt.requested
        ctrl_c()
        assert interrupt.requested
    assert "rlgen resume RUN" in capfd.readouterr().err


def test_the_second_ctrl_c_stops_at_once(capfd):
    with pytest.raises(KeyboardInterrupt), Interrupt():  # noqa: PT012
        ctrl_c()
        ctrl_c()
    assert "Ctrl-C again" in capfd.readouterr().err


def test_the_handler_before_is_put_back(capfd):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with Interrupt():
            ctrl_c()
        assert seen == []
        ctrl_c()
        assert seen == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_is_put_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), Interrupt():  # noqa: PT012
        assert signal.getsignal(signal.SIGINT) != before
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) == before


def test_outside_the_main_thread_it_does_nothing():
    seen = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append((interrupt.requested, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
def test_a_signal_from_outside_counts_as_ctrl_c(capfd):
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
