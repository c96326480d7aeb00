"""Leases: which worker trains a cell. A worker that dies or hangs loses its lease, and another one takes the cell.

A lease is a file that exists once. Its holder changes a count in it every few seconds; who wants the lease watches the
count by its own monotonic clock, so that no two clocks are ever compared and a clock that jumps does no harm. A holder
on the same machine whose process is gone loses the lease at once.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEAT = 5.0
"""Seconds between two changes of a lease."""
PATIENCE = 60.0
"""Seconds without a change after which a lease is free."""
SUFFIX = ".lease"


def place() -> str:
    """This machine as far as process numbers are unique: host, its start, and the namespace of a container."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text().strip() if boot.is_file() else ""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {started} {namespace}".strip()


@dataclass
class Lease:
    """A lease that this process holds; `lost` is set if another worker has taken it."""

    path: Path
    _handle: int
    _content: dict[str, Any]
    lost: threading.Event = field(default_factory=threading.Event)

    def beat(self) -> None:
        """Change the count. Sets `lost` if the file is no longer this lease."""
        if not self._is_ours():
            self.lost.set()
            return
        self._content["count"] += 1
        _write(self._handle, self._content)

    def release(self) -> None:
        """Free the cell, unless the lease was lost."""
        if self._is_ours():
            self.path.unlink(missing_ok=True)
        os.close(self._handle)

    def _is_ours(self) -> bool:
        try:
            found, own = self.path.stat(), os.fstat(self._handle)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


class Leases:
    """The leases of a folder, as one worker sees them."""

    def __init__(
        self, folder: Path, worker: str, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`worker`: its name for people. `patience`: seconds without a change after which a lease is free. `clock`:
        seconds that never go back."""
        self._folder, self._worker, self._patience, self._clock = folder, worker, patience, clock
        self._seen: dict[str, tuple[bytes | None, float]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> Lease | None:
        """The lease of a cell, None while another worker holds it. Exactly one of many that ask gets it."""
        path = self.path_of(name)
        if path.exists() and not self._freed(path):
            return None
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        content = {
            "worker": self._worker,
            "place": place(),
            "pid": os.getpid(),
            "key": secrets.token_hex(8),
            "count": 0,
        }
        lease = Lease(path, handle, content)
        try:
            _write(handle, content)
        except OSError:  # a full disk: no worker holds it
            lease.release()
            raise
        self._seen.pop(name, None)
        return lease

    def path_of(self, name: str) -> Path:
        """The file of a lease."""
        return self._folder / f"{name}{SUFFIX}"

    def holder(self, name: str) -> str | None:
        """Name of the worker that holds the cell, None if no living one does."""
        path = self.path_of(name)
        found = _read(path)
        if found is None or self._is_dead(path, found):
            return None
        return str(_parsed(found).get("worker", "a worker"))

    def _freed(self, path: Path) -> bool:
        """Whether the lease at `path` was a dead worker's and is removed now."""
        found = _read(path)
        if found is None:
            return True
        if not self._is_dead(path, found):
            return False
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.rename(aside)  # one of several that see it dead succeeds
        except FileNotFoundError:
            return False
        if _read(aside) != found:  # another worker has taken it over in between: give it back
            with contextlib.suppress(OSError):
                os.link(aside, path)
            aside.unlink(missing_ok=True)
            return False
        aside.unlink(missing_ok=True)
        return True

    def _is_dead(self, path: Path, found: bytes) -> bool:
        content = _parsed(found)
        if content.get("place") == place() and not _is_running(content.get("pid")):
            return True
        now = self._clock()
        before, since = self._seen.get(path.stem, (None, now))
        if before != found:
            self._seen[path.stem] = (found, now)
            return False
        return now - since > self._patience


@contextlib.contextmanager
def beating(lease: Lease, every: float = BEAT) -> Iterator[None]:
    """Within the block a thread keeps the lease alive; after it the lease is free."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(every) and not lease.lost.is_set():
            with contextlib.suppress(OSError):  # a full disk does not end the training; a lease that expires does
                lease.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        lease.release()


def _write(handle: int, content: dict[str, Any]) -> None:
    """Replace the content in place, so that the file stays the same one; its length is fixed."""
    text = json.dumps({**content, "count": f"{content['count']:012d}"}) + "\n"
    os.pwrite(handle, text.encode(), 0)
    os.fsync(handle)  # a network's disk shows it to others


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parsed(found: bytes) -> dict[str, Any]:
    """The content of a lease; empty for one that was just made or is damaged."""
    try:
        content = json.loads(found)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_running(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return True  # unknown: the count decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether the process is a zombie: dead, but its parent never asked, as the first process of a container may not.
    False where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "Z"  # the name before it may hold spaces and brackets
