"""Code that a file must not run, and the watch over it.

A pickle or a `module:Id` in a file would import `fuzz_canary`, which touches a file. An audit hook sees besides
whatever starts a program, opens a connection or resolves a pickled class.
"""

import os
import sys
from pathlib import Path
from typing import Any

MODULE = "fuzz_canary"
ENV_ID = f"{MODULE}:Canary-v0"
MARK = "FUZZ_CANARY"
"""Environment variable: the file that the module touches, also in a child process."""

STARTS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "socket.connect", "socket.getaddrinfo"}
OWN_PROGRAMS = ("git", "nvidia-smi", Path(sys.executable).name)
"""What rlgen starts itself: versions.json names a commit, renderers and Arrow's reader are asked in children."""


class Payload:
    """Unpickling this runs code: it imports the module."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import {MODULE}",)


def plant(folder: Path) -> None:
    """Writes the module where a file in use could import it from."""
    mark = folder / "code-ran"
    (folder / f"{MODULE}.py").write_text(f"import os, pathlib\npathlib.Path(os.environ[{MARK!r}]).touch()\n")
    os.environ[MARK] = str(mark)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))


class Watch:
    """Notes what this process does from now on; a hook cannot be taken back, so it belongs into a worker."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def ran(self) -> str:
        """What ran since the last call; empty if nothing."""
        mark = Path(os.environ[MARK])
        if mark.exists():
            mark.unlink()
            self.seen.append("the canary")
        found, self.seen = ", ".join(self.seen), []
        return found

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in STARTS:
            self.seen.append(f"{event}{arguments!r}"[:200])
        elif event == "import" and arguments[0].partition(".")[0] == MODULE:
            self.seen.append(f"import {arguments[0]}")
        elif event == "subprocess.Popen":
            program = Path(os.fsdecode(arguments[0] or arguments[1][0])).name
            if program not in OWN_PROGRAMS:
                self.seen.append(f"{event}{arguments[:2]!r}"[:200])
        elif event == "pickle.find_class" and MODULE in str(arguments):
            self.seen.append(f"pickle {arguments!r}")
