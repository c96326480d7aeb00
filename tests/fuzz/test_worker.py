"""The fuzz can fail: every kind of fault that a case may be is seen, and named as what it is."""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlgen.errors import InputError, problem
from tests.fuzz import canary, worker
from tests.fuzz.verdict import Verdict, judged
from tests.fuzz.worker import Worker, fresh


def _raise(error: BaseException) -> None:
    raise error


def _spin() -> None:
    while True:
        pass


FAULTS: dict[str, tuple[Callable[[], object], ...]] = {
    "ok": (lambda: None,),
    "clean": (
        lambda: _raise(problem("a file", "none", "write one")),
        lambda: Path("/nowhere/at/all").read_bytes(),
    ),
    "traceback": (
        lambda: _raise(KeyError("a")),
        lambda: _raise(SystemExit(2)),
        lambda: _raise(MemoryError()),
        lambda: _raise(InputError("no")),
    ),
    "signal": (lambda: os.kill(os.getpid(), signal.SIGSEGV), lambda: os._exit(3)),
    "memory": (lambda: np.ones(150 * 2**20).sum(),),
    "hang": (_spin,),
    "code": (
        lambda: __import__(canary.MODULE),
        lambda: os.system("true"),
        lambda: pickle.loads(pickle.dumps(canary.Payload())),
    ),
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.setenv(canary.MARK, "")
    monkeypatch.setenv("PYTHONPATH", "")
    canary.plant(fresh(tmp_path / "canary"))


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_is_seen_and_the_next_case_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CPU_LIMIT_S", 1 if kind == "hang" else 60)
    cases = [*FAULTS[kind], lambda: None]

    def case(number: int) -> Verdict:
        return judged(lambda _: cases[number](), tmp_path)

    child = Worker(case)
    found = [child.run(number).kind for number in range(len(cases))]
    child.close()
    assert found == [kind] * len(FAULTS[kind]) + ["ok"]
