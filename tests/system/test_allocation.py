"""Memory that is freed and allocated again."""

import os
import platform
import subprocess
import sys

import pytest

PROBE = """
import resource
import numpy as np
from rlgen.system.allocation import keep_freed_memory
keep_freed_memory()
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(2**20) for _ in range(4)]
    del blocks
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


@pytest.mark.parametrize(("variable", "kept"), [("", True), ("MALLOC_TRIM_THRESHOLD_", False)])
def test_freed_memory_is_used_again_without_page_faults(variable: str, kept: bool) -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("glibc's malloc")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    environment |= {variable: "131072"} if variable else {}
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env=environment)
    # 32 MiB are 8,192 pages of 4 KiB, or 16 of 2 MiB.
    assert (int(done.stdout) < 10) is kept
