"""Run folders can be read without the frameworks that made them."""

import subprocess
import sys
from pathlib import Path

import rlgen.reports
import rlgen.runs

MODULES = sorted(
    f"{package.__name__}.{path.stem}"
    for package in (rlgen.runs, rlgen.reports)
    for path in Path(package.__file__).parent.glob("[a-z]*.py")
)
HEAVY = {"stable_baselines3", "gymnasium", "tensorboard", "matplotlib.pyplot", "imageio_ffmpeg", "pandas"}


def test_importing_every_module_of_runs_loads_no_framework():
    code = f"import sys, {', '.join(MODULES)}\nprint(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_finding_out_about_the_machine_needs_no_torch():
    code = "import sys, rlgen.system.doctor, rlgen.runs.folder\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
