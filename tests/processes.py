"""Runs a function of a file in one of several processes that know each other by gloo, like those of torchrun.

python processes.py FILE FUNCTION NUMBER COUNT FOLDER: what it returns is saved as FOLDER/NUMBER.pt.
"""

import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

LIMIT_S = 240


def in_processes(file: Path, function: str, folder: Path, n: int = 2) -> list[Any]:
    """What the function returned in each process, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = [[sys.executable, __file__, str(file), function, str(i), str(n), str(folder)] for i in range(n)]
    started = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in commands]
    try:
        for each in started:
            _, errors = each.communicate(timeout=LIMIT_S)
            assert each.returncode == 0, errors
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


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
