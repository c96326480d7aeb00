"""What a case came to."""

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlgen.agents.cli import os_problem
from rlgen.errors import InputError

KINDS = ("ok", "clean", "traceback", "signal", "memory", "hang", "code")
BAD = KINDS[2:]
THREE_PARTS = re.compile(r"expected \S.*?; got \S.*; \S.*", re.DOTALL)
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One of `KINDS`, with what was said: the error for the user, or where the fault lies and its traceback."""

    kind: str
    said: str = ""
    trace: str = ""


def judged(use: Callable[[Path], None], folder: Path) -> Verdict:
    """Uses `folder` in this process: ok, clean or traceback."""
    try:
        use(folder)
    except InputError as error:
        return _refused(str(error))
    except OSError as error:
        return _refused(str(os_problem(error)))
    except BaseException as error:  # SystemExit too: nothing that is read may end the process
        trace = "".join(traceback.format_exception(error))
        return Verdict(kind="traceback", said=f"{_place(error)}: {_one_line(error)}", trace=trace)
    return Verdict(kind="ok")


def _refused(message: str) -> Verdict:
    if THREE_PARTS.fullmatch(message):
        return Verdict(kind="clean", said=message)
    return Verdict(kind="traceback", said=f"an error without its three parts: {message[:300]}", trace=message)


def _place(error: BaseException) -> str:
    """The last line of the project's own code that the error passed."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if ROOT / "tests" not in Path(frame.filename).parents
        and {ROOT / "rlgen", ROOT / "agents", ROOT / "envs"} & set(Path(frame.filename).parents)
    ]
    return f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "tests/fuzz"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
