"""`rlgen resume`: continue a run that was stopped or killed."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Continue a run from its newest whole checkpoint, to the number of steps it was started with.

    The curve, the random numbers and the optimisers go on as if nothing had happened.
    """

    run_folder: tyro.conf.Positional[Path]
    """Folder of the run."""

    def run(self) -> int:
        from .train import resume

        return resume(self.run_folder)
