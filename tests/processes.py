"""Runs a function of a file in one of several processes that know each other by gloo, like those of torchrun.

python processes.py FILE FUNCTION NUMBER COUNT FOLDER: what it returns is saved as FOLDER/NUMBER.pt.
"""

import runpy
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed.nn  # see rlgen.agents.commands.runner

LIMIT_S = 240


def in_processes(file: Path, function: str, folder: Path, n: int = 2) -> list[Any]:
    """What the function returned in each process, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = [[sys.executable, __file__, str(file), function, str(i), str(n), str(folder)] for i in range(n)]
    started = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in commands]
    try:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until and any(each.poll() is None for each in started):
            for each in started:  # the others would wait for one that has failed
                assert not each.poll(), each.communicate()[1]
            time.sleep(0.05)
        assert [each.poll() for each in started] == [0] * n, [each.communicate()[1] for each in started]
    finally:
        for each in started:
            each.kill()
            each.communicate()
    return [torch.load(folder / f"{i}.pt", weights_only=True) for i in range(n)]


def main(file: str, function: str, number: int, n: int, folder: Path) -> None:
    torch.set_num_threads(1)
    meeting, limit = f"file://{folder / 'meeting'}", timedelta(seconds=LIMIT_S)
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=number, world_size=n, timeout=limit)
    torch.save(runpy.run_path(file)[function](), folder / f"{number}.pt")
    torch.distributed.destroy_process_group()
    threads = [(each / "comm").read_text().strip() for each in Path("/proc/self/task").iterdir()]
    assert not [name for name in threads if "gloo" in name], "threads of the group that live on may abort the process"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
