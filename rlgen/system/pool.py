"""A pool of threads for short work items that release the interpreter lock."""

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread, current_thread

Work = Callable[[int], None]


def usable_cpus() -> int:
    """Number of CPUs that this process may use; a container or `taskset` may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """A pool of `n_threads` threads, including the caller's.

    A free thread takes the next item, so no thread waits for a slow one. The work on one item must not depend on other
    items; then the results do not depend on the number of threads.
    """

    def __init__(self, n_threads: int) -> None:
        assert n_threads >= 1, n_threads
        self.n_threads = n_threads
        self._inboxes: list[SimpleQueue] = [SimpleQueue() for _ in range(n_threads - 1)]
        threads = [
            Thread(target=_serve, args=(inbox,), name=f"rlgen-pool-{k}", daemon=True)
            for k, inbox in enumerate(self._inboxes)
        ]
        for thread in threads:
            thread.start()
        self._stop = weakref.finalize(self, _stop, self._inboxes, threads)

    def run(self, work: Work, items: Sequence[int]) -> None:
        """Call `work(item)` for every item and return when all are done. Raises the exception of any thread."""
        assert self._stop.alive, "the pool is closed"
        remaining = iter(items)
        finished: SimpleQueue[BaseException | None] = SimpleQueue()
        helpers = self._inboxes[: max(len(items) - 1, 0)]
        for inbox in helpers:
            inbox.put((work, remaining, finished))
        outcomes = [_drain(work, remaining)] + [finished.get() for _ in helpers]
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def close(self) -> None:
        """End the threads and wait for them. A second call does nothing."""
        self._stop()


def _drain(work: Work, remaining: Iterator[int]) -> BaseException | None:
    """Take items until none is left. The iterator is shared; `next` is atomic under the interpreter lock."""
    try:
        for item in remaining:
            work(item)
    except BaseException as error:  # of any kind: the caller's thread raises it
        return error
    return None


def _serve(inbox: SimpleQueue) -> None:
    while (job := inbox.get()) is not None:
        work, remaining, finished = job
        outcome = _drain(work, remaining)
        del job, work, remaining  # the caller may drop the simulator as soon as the work is reported as finished
        finished.put(outcome)
        del outcome, finished


def _stop(inboxes: list[SimpleQueue], threads: list[Thread]) -> None:
    for inbox in inboxes:
        inbox.put(None)
    for thread in threads:
        if thread is not current_thread():  # a thread that held the last reference cannot join itself
            thread.join()
