"""`rlgen resume`: continue a run that was stopped or killed, or train it on."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from .environment_options import Imports, import_typed


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Continue a run to its end, as it was started, or with --steps beyond it.

    GAIL, InfoGAIL, VIME and image models go on from their newest whole checkpoint: curve, random numbers, optimisers
    and, with SAC, the replay buffer as if nothing had happened.
    Cloning (BC) writes no checkpoints, because it is short, and starts anew with the same seed.
    """

    run_folder: tyro.conf.Positional[Path]
    """Folder of the run."""
    steps: float | None = None
    """Train on to so many steps in all (updates of an image model); a finished run is then evaluated, filmed and
    reported anew, and keeps its result until that is done. What falls with the steps done (a linear learning rate, η)
    falls over the new total, so at the seam it jumps up."""

    imports: Imports = ()
    """Module that registers environments, installed or in the current folder; one that the run names is not imported
    before it is given here."""

    def run(self) -> int:
        from .train import resume

        import_typed(self.imports)
        return resume(self.run_folder, self.steps)
