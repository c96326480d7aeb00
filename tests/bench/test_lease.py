"""A cell has one worker at a time; a dead worker's lease is free, whatever the clocks say."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rlgen.bench.lease import Leases, beating


class Clock:
    """Seconds of one machine."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def elsewhere(folder: Path, name: str) -> None:
    """Make a held lease one of another machine, where process numbers tell nothing."""
    path = folder / f"{name}.lease"
    handle = os.open(path, os.O_RDWR)  # the same file, as its holder sees it
    text = path.read_text().replace('"place": "', '"place": "X')
    os.pwrite(handle, text.encode(), 0)
    os.close(handle)


def test_one_of_many_that_ask_gets_the_lease(tmp_path: Path) -> None:
    found, barrier = [], threading.Barrier(8)

    def ask(number: int) -> None:
        leases = Leases(tmp_path, f"w{number}")
        barrier.wait()
        found.append(leases.take("cell"))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (held,) = [lease for lease in found if lease is not None]
    held.release()
    assert Leases(tmp_path, "w").take("cell") is not None


def test_a_lease_of_another_machine_is_free_when_its_count_stands_still(tmp_path: Path) -> None:
    clock = Clock()
    mine, other = Leases(tmp_path, "a"), Leases(tmp_path, "b", patience=60, clock=clock)
    lease = mine.take("cell")
    assert lease is not None
    elsewhere(tmp_path, "cell")
    lease._content["place"] = "X"
    assert other.take("cell") is None
    clock.now = 59
    lease.beat()
    assert other.take("cell") is None
    clock.now = 118  # 59 s after the look that saw the beat
    assert other.take("cell") is None
    clock.now = 120
    taken = other.take("cell")
    assert taken is not None
    lease.beat()
    assert lease.lost.is_set()
    lease.release()  # does not free the other's
    assert other.holder("cell") == "b"


def test_a_file_time_that_jumps_frees_nothing(tmp_path: Path) -> None:
    mine, other = Leases(tmp_path, "a"), Leases(tmp_path, "b", clock=Clock())
    assert mine.take("cell") is not None
    elsewhere(tmp_path, "cell")
    os.utime(tmp_path / "cell.lease", (0, 0))
    assert other.take("cell") is None
    os.utime(tmp_path / "cell.lease", (4e9, 4e9))
    assert other.take("cell") is None


def test_a_worker_of_this_machine_that_is_gone_loses_its_lease_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rlgen.bench.lease import Leases\n"
    code += "assert Leases(Path(sys.argv[1]), 'dead').take('cell')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    leases = Leases(tmp_path, "b", clock=Clock())
    assert leases.holder("cell") is None
    assert leases.take("cell") is not None


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc")
def test_the_lease_of_a_process_whose_end_nobody_asked_for_is_free_at_once(tmp_path: Path) -> None:
    """Such a zombie can still be sent signals. In a container without an init it stays for ever."""
    code = "import sys; from pathlib import Path; from rlgen.bench.lease import Leases\n"
    code += "assert Leases(Path(sys.argv[1]), 'dead').take('cell')"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        leases = Leases(tmp_path, "other")
        assert leases.holder("cell") is None
        assert leases.take("cell") is not None
    assert process.returncode == 0


def test_a_damaged_lease_is_free_after_the_patience(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "cell.lease").write_bytes(b"")
    leases = Leases(tmp_path, "a", patience=60, clock=clock)
    assert leases.take("cell") is None
    clock.now = 61
    assert leases.take("cell") is not None


def test_a_lease_that_beats_stays_and_is_free_after_the_block(tmp_path: Path) -> None:
    clock = Clock()
    mine, other = Leases(tmp_path, "a"), Leases(tmp_path, "b", patience=1, clock=clock)
    lease = mine.take("cell")
    assert lease is not None
    elsewhere(tmp_path, "cell")
    with beating(lease, every=0.01):
        before = (tmp_path / "cell.lease").read_bytes()
        for _ in range(200):
            threading.Event().wait(0.01)
            if (tmp_path / "cell.lease").read_bytes() != before:
                break
        assert (tmp_path / "cell.lease").read_bytes() != before
    assert other.take("cell") is not None
