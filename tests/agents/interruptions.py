"""A run that is killed and resumed, compared with one that is not: bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rlgen.agents import cli
from rlgen.runs import Metrics
from rlgen.runs.metrics import same_metrics


class PowerCut(BaseException):
    """Ends a training at once."""


def kill(command: list[str], at: int, out: Path) -> None:
    """Runs a training of the command line until it writes metrics of step `at` or later."""
    write = Metrics.write

    def cut(metrics: Metrics, step: int, values: Any) -> None:
        if step >= at:
            raise PowerCut
        write(metrics, step, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metrics, "write", cut)
        with pytest.raises(PowerCut):
            cli.main([*command, "--out", str(out)])


def assert_resumes(command: list[str], at: int, folder: Path, no_finish: list[tuple], lost: Path | None = None) -> Path:
    """Asserts that a run that was killed at step `at` and resumed ends as one that was not, also without the file
    `lost`. Returns the folder of the latter."""
    whole, killed = folder / "whole", folder / "killed"
    assert cli.main([*command, "--out", str(whole)]) == 0
    weights = {name: value.clone() for name, value in no_finish[-1][2].policy.state_dict().items()}
    kill(command, at, killed)
    if lost is not None:
        lost.unlink()
    assert cli.main(["resume", str(killed)]) == 0
    assert same_metrics(killed, whole)
    for name, value in no_finish[-1][2].policy.state_dict().items():
        assert torch.equal(value, weights[name]), name
    return whole
