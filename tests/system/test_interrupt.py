"""The first signal asks, the second stops, and afterwards signals do what they did."""

import os
import signal
import threading

import pytest

from rlgen.system.interrupt import STOPS, Interrupt, Stopped, Terminated, exit_code, signals_raise


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


def test_where_nothing_would_be_lost_the_first_ctrl_c_stops():
    with pytest.raises(Stopped), Interrupt() as interrupt, interrupt.raising():
        ctrl_c()
    with pytest.raises(Stopped), Interrupt() as interrupt:  # noqa: PT012
        with interrupt.raising():
            pass
        ctrl_c()
        with interrupt.raising():
            pytest.fail("a stop was asked for")


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


@pytest.mark.parametrize("signum", STOPS)
def test_every_signal_that_asks_for_a_stop_is_told_by_its_exit_code(signum, capfd):
    with pytest.raises(Stopped) as stop, Interrupt() as interrupt:  # noqa: PT012
        signal.raise_signal(signum)
        assert interrupt.requested
        raise Stopped
    assert exit_code(stop.value) == 128 + signum


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
def test_a_second_sigterm_stops_at_once(capfd):
    with pytest.raises(Terminated) as stop, Interrupt():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert exit_code(stop.value) == 143
    assert "SIGTERM again: at once" in capfd.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
def test_a_sigterm_between_trainings_closes_what_is_open_and_is_then_deadly_again():
    before = signal.getsignal(signal.SIGTERM)
    closed = []
    with pytest.raises(KeyboardInterrupt) as stop, signals_raise():  # noqa: PT012
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            closed.append(1)
    assert closed == [1]
    assert exit_code(stop.value) == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert exit_code(KeyboardInterrupt()) == 130


def test_a_signal_that_two_senders_pass_on_is_one_request(capfd, monkeypatch):
    monkeypatch.setattr(Interrupt, "one_request", 60.0)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.requested
