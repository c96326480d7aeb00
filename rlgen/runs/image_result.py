"""result.json of a run with an image model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlgen.errors import problem
from rlgen.runs.json_file import read_entries, write_json


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """What was trained, how long that took, and every metric. Unknown numbers are None (null in the file)."""

    agent: str
    """`image`, which tells such a result from an agent's."""
    model: str
    data: str
    """Name of the training images."""
    seed: int
    steps: int
    """Updates."""
    images: int
    """Images that the updates saw, each as often as it came."""
    wall_seconds: float
    """Training time [s] over all resumes, pictures and metrics not counted."""
    images_per_second: float | None
    parameters: int
    """Numbers that are learned."""
    metrics: dict[str, Any]
    """By name; likelihoods in nats per image."""
    device: str
    versions: dict[str, str]
    git_commit: str | None
    peak_memory_mb: float | None
    """Largest resident memory of the process [MiB]."""
    peak_gpu_memory_mb: float | None = None
    """Most memory that tensors took on the GPU at a time, over the last sitting [MiB]; None on a CPU."""

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write FOLDER/result.json (strict JSON, whole or not at all)."""
        path = Path(folder) / "result.json"
        write_json(path, self)
        return path

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "ImageResult":
        """The result of a run folder; raises `InputError` when the run has none. Unknown entries are left out;
        those that have a default may be missing (a result of an earlier version)."""
        path = Path(folder) / "result.json"
        if not path.is_file():
            raise problem(f"a finished run at {folder}", "one without result.json", f"finish it: rlgen resume {folder}")
        return read_entries(cls, path, "finish the run again")
