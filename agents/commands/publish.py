"""`rlgen publish`: a finished run's model for others, in a folder or on the Hugging Face Hub."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.runs.folder import RunFolder

HUB = "hub"


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Write the model of a finished run for others: its weights as safetensors, the settings of the training, and a
    model card with the result, its interval, the protocol, the fingerprint of the demonstrations and the video.

    `rlgen evaluate FOLDER` plays what is published, and `rlgen.sb3.load_policy("FOLDER")` loads it, without unpickling
    anything. policy.zip next to it is for Stable-Baselines3. Demonstrations, checkpoints and the paths of this machine
    stay here.

    --to FOLDER writes a new folder and needs no network. --to hub:OWNER/NAME uploads the same files to the Hugging Face
    Hub (extra `hub`; log in first: hf auth login); --to hub takes the account's name and that of the run's folder.
    """

    run_folder: Positional[Path]
    """Folder of a finished run."""
    to: str
    """New or empty folder to write, hub or hub:OWNER/NAME."""
    private: bool = False
    """Privacy of a new model on the Hub: visible only to its owner."""
    overwrite: bool = False
    """Permission to add a revision to a model that exists on the Hub."""

    def run(self) -> None:
        from rlgen.runs.folder import RunFolder
        from rlgen.system.console import Console

        from .published import publish
        from .resume import shown

        on_hub = self.to == HUB or self.to.startswith(f"{HUB}:")
        given = [f"--{name}" for name in ("private", "overwrite") if getattr(self, name)]
        if given and not on_hub:
            raise problem(f"{' and '.join(given)} with --to hub", f"--to {self.to}", "leave it out")
        run = shown(RunFolder.open(self.run_folder))
        require_finished(run)
        place = self._to_hub(run) if on_hub else str(publish(run, Path(self.to)))
        Console().print(f"published: {place}", soft_wrap=True, markup=False, highlight=False)

    def _to_hub(self, run: "RunFolder") -> str:
        """Upload the model, and return its address."""
        from .hub import Hub
        from .published import publish

        hub = Hub.connect()
        repository = hub.named(self.to.partition(":")[2], run.path.resolve().name)
        with tempfile.TemporaryDirectory() as place:
            folder = publish(run, Path(place) / repository.rpartition("/")[2], repository)
            return hub.upload(folder, repository, self.private, self.overwrite)


def require_finished(run: "RunFolder") -> None:
    """Raise `InputError` for a run without its final model and evaluation."""
    weights = any((run / name).is_file() for name in ("policy.zip", "model.safetensors"))
    if not (run.finished and weights):
        raise problem(f"a finished run at {run.path}", "one without result", f"finish it: rlgen resume {run.path}")
