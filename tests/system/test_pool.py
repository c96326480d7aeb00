"""The thread pool: every item once, errors in the caller's thread, no thread left behind."""

import threading
import weakref

import pytest

from rlgen.system.pool import Pool, usable_cpus


def pool_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("rlgen-pool")]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_item_is_worked_on_once(n_threads):
    pool = Pool(n_threads)
    for n_items in (0, 1, 3, 50):
        done: list[int] = []
        pool.run(done.append, range(n_items))
        assert sorted(done) == list(range(n_items))
    pool.close()


def test_threads_work_at_the_same_time():
    pool = Pool(2)
    meeting = threading.Barrier(2, timeout=10)  # one thread alone would wait here for ever
    pool.run(lambda item: meeting.wait() and None, range(2))
    pool.close()
    assert not meeting.broken


def test_an_exception_in_another_thread_is_raised_in_the_callers():
    pool = Pool(3)
    meeting = threading.Barrier(3, timeout=10)
    caller = threading.get_ident()

    def fail_elsewhere(item: int) -> None:
        meeting.wait()
        if threading.get_ident() != caller:
            raise ArithmeticError(f"item {item}")

    with pytest.raises(ArithmeticError, match="item"):
        pool.run(fail_elsewhere, range(3))
    done: list[int] = []
    pool.run(done.append, range(4))
    assert sorted(done) == [0, 1, 2, 3]
    pool.close()


def test_close_ends_the_threads():
    before = len(pool_threads())
    pool = Pool(4)
    assert len(pool_threads()) == before + 3
    pool.close()
    pool.close()
    assert len(pool_threads()) == before


def test_a_forgotten_pool_ends_its_threads():
    before = len(pool_threads())
    pool = Pool(3)
    pool.run(lambda item: None, range(8))
    del pool
    assert len(pool_threads()) == before


def test_a_forgotten_simulator_is_freed_with_its_threads():
    class Simulator:
        def __init__(self):
            self.pool = Pool(3)
            self.steps = 0

        def step_one(self, item: int) -> None:
            self.steps += 1

    before = len(pool_threads())
    for _ in range(50):
        simulator = Simulator()
        simulator.pool.run(simulator.step_one, range(6))
        forgotten = weakref.ref(simulator)
        del simulator
        assert forgotten() is None
        assert len(pool_threads()) == before


def test_a_process_may_use_at_least_one_cpu():
    assert usable_cpus() >= 1
