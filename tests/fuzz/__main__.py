"""`python -m tests.fuzz`: the fuzz of all formats or some, or one case of it again."""

import argparse
import sys

from .campaign import Tally, build, damaged_copy, run, workplace
from .registry import BRIEF, SUBJECTS
from .subject import Subject
from .verdict import BAD, judged
from .worker import Worker

SEED, CASES = 17, 10_000


def main(arguments: list[str] | None = None) -> int:
    """0 where every case worked or was refused in three parts, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Damaged files, used like a user would.")
    parser.add_argument("--format", nargs="*", default=[subject.name for subject in SUBJECTS], help="all if left out")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--cases", type=int, default=CASES, help="over all formats together")
    parser.add_argument("--case", type=int, help="run this one alone, in this process, and show its traceback")
    parser.add_argument("--brief", action="store_true", help="the formats that the suite has time for")
    given = parser.parse_args(arguments)
    chosen = [subject for subject in (BRIEF if given.brief else SUBJECTS) if subject.name in given.format]
    if unknown := set(given.format) - {subject.name for subject in SUBJECTS}:
        parser.error(f"no such format: {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in SUBJECTS)}")
    if given.case is not None:
        return again(chosen[0], given.seed, given.case)
    with workplace() as folder:
        tally = run(chosen, given.seed, given.cases, folder)
    return report(tally)


def report(tally: Tally) -> int:
    """Prints the table, and every kind of fault by the shortest damage that makes it."""
    shortest: dict[str, str] = {}
    for fault in sorted(tally.faults, key=lambda fault: len(fault.damage)):
        shortest.setdefault(fault.verdict.said.partition(":")[0] + fault.verdict.kind, str(fault))
    if shortest:
        print(f"\n{len(tally.faults)} faults of {len(shortest)} kinds; the simplest of each:")
        print("\n".join(shortest.values()))
    print(f"\n{tally.table()}")
    return 1 if tally.faults else 0


def again(subject: Subject, seed: int, case: int) -> int:
    """One case, first in this process, so that a debugger reaches it, with all that it prints."""
    with workplace() as folder:
        build([subject], folder)
        copy, damage = damaged_copy(subject, seed, case, folder)
        print(f"{subject.name}, seed {seed}, case {case}: {damage}", flush=True)
        worker = Worker(lambda _: judged(subject.use, copy))
        verdict = worker.run(case)
        worker.close()
        print(f"{verdict.kind}: {verdict.said}\n{verdict.trace}")
    return 1 if verdict.kind in BAD else 0


if __name__ == "__main__":
    sys.exit(main())
