"""Cases of many formats, one after another: what each came to, and a table of it."""

import os
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np

from . import canary
from .hdf5_damage import SECRET
from .subject import Subject
from .verdict import BAD, KINDS, Verdict, judged
from .worker import Worker, fresh

BUILD_LIMIT_S = 300


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A case that came to nothing good."""

    subject: str
    seed: int
    case: int
    damage: str
    verdict: Verdict

    def __str__(self) -> str:
        again = f"python -m tests.fuzz --format {self.subject} --seed {self.seed} --case {self.case}"
        return f"{self.verdict.kind}: {self.subject}, {self.damage}\n    {self.verdict.said}\n    {again}"


@dataclass
class Tally:
    """Counts by format and verdict, and the faults."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def add(self, subject: str, verdict: Verdict) -> None:
        self.counts.setdefault(subject, Counter())[verdict.kind] += 1

    def table(self) -> str:
        """A line for each format, and their sum."""
        total = sum(self.counts.values(), Counter())
        rows = [*self.counts.items(), ("all", total)]
        head = f"{'format':<18}{'cases':>8}" + "".join(f"{kind:>11}" for kind in KINDS)
        lines = [
            f"{name:<18}{counts.total():>8,}" + "".join(f"{counts[kind]:>11,}" for kind in KINDS)
            for name, counts in rows
        ]
        return "\n".join([head, *lines])


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for whole examples and damaged copies, with the canary in it."""
    with tempfile.TemporaryDirectory(prefix="rlgen-fuzz-") as name:
        folder = Path(name)
        canary.plant(fresh(folder / "canary"))
        (folder / SECRET).write_bytes(b"secret " * 100)
        yield folder


def build(subjects: Sequence[Subject], folder: Path) -> None:
    """The whole examples, made in a child: what training starts (threads, for instance) must not be forked."""
    for subject in {subject.example: subject for subject in subjects}.values():
        pid = os.fork()
        if pid == 0:
            signal.alarm(BUILD_LIMIT_S)
            code = 1
            try:
                subject.build(fresh(folder / "whole" / subject.example))
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        if os.waitpid(pid, 0)[1] != 0:
            raise RuntimeError(f"the whole example {subject.example} could not be made")


def damaged_copy(subject: Subject, seed: int, case: int, folder: Path) -> tuple[Path, str]:
    """A damaged copy of the whole example, decided by the three alone, and what the damage is."""
    copy = folder / "damaged" / subject.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "whole" / subject.example, copy, symlinks=True)
    rng = np.random.default_rng([seed, crc32(subject.name.encode()), case])
    return copy, subject.damage(rng, copy)


def numbers_of(subjects: Sequence[Subject], cases: int) -> list[int]:
    """How many of `cases` each gets, by weight."""
    ends = np.cumsum([subject.weight for subject in subjects])
    return np.diff(np.round(ends / ends[-1] * cases).astype(int), prepend=0).tolist()


def run(subjects: Sequence[Subject], seed: int, cases: int, folder: Path, show: bool = True) -> Tally:
    """Runs them all and prints faults as they come, and a line of progress for each format."""
    build(subjects, folder)
    tally, since = Tally(), time.monotonic()
    for subject, number in zip(subjects, numbers_of(subjects, cases), strict=True):

        def one(case: int, subject: Subject = subject) -> Verdict:
            return judged(subject.use, damaged_copy(subject, seed, case, folder)[0])

        worker = Worker(one)
        for case in range(number):
            verdict = worker.run(case)
            tally.add(subject.name, verdict)
            if verdict.kind in BAD:
                damage = damaged_copy(subject, seed, case, folder)[1]
                tally.faults.append(Fault(subject=subject.name, seed=seed, case=case, damage=damage, verdict=verdict))
                print(tally.faults[-1], flush=True)
        worker.close()
        if show:
            counts = ", ".join(f"{count} {kind}" for kind, count in tally.counts.get(subject.name, {}).items())
            print(f"{time.monotonic() - since:6.0f} s  {subject.name}: {counts}", flush=True)
    return tally
