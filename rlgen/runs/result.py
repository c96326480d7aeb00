"""result.json: the results of a run."""

import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rlgen.errors import problem
from rlgen.runs.config import entries_of, read_object, write_json
from rlgen.runs.evaluation import Evaluation
from rlgen.runs.scores import Reference, normalised_return, share_of_failures

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REMEDY = "evaluate the run again"
RENAMED = {"share_of_falls": "terminated"}
"""Earlier name of an entry → its current name."""


@dataclass(frozen=True, kw_only=True)
class Returns:
    """Returns of a policy in an evaluation, and its reference returns."""

    env: str
    """Gymnasium id of the environment."""
    return_mean: float
    """Mean undiscounted return of the episodes."""
    return_std: float
    return_min: float
    return_max: float
    episode_length_mean: float
    """Environment steps."""
    episodes: int
    terminated: float
    """Fraction of the episodes that the task ended, by success or failure, before the time limit."""
    evaluation_seed: int
    expert_return: float | None = None
    """Mean return with a normalized score of 1; `reference` names its source."""
    random_return: float | None = None
    """Mean return of uniformly random actions from the evaluation's seed, over a separate number of episodes."""
    normalised_return: float | None = None
    """Normalized score (return_mean − random_return) / (expert_return − random_return)."""
    backend: str = ""
    """Backend of the environment: threads, gymnasium, warp."""
    margin_rule: str = "native"
    """MuJoCo's contact margin rule: native (their sum) or legacy (the larger one)."""
    reference: Reference = "demonstrations"
    """Source of `expert_return`: demonstrations, all episodes of their file; or expert, the expert's policy in this
    evaluation."""
    share_of_failures: float | None = None
    """Fraction of the episodes with a return below half of `expert_return` (`rlgen.runs.scores.share_of_failures`)."""
    per_episode_returns: list[float | None] | None = None
    """Undiscounted return of every episode."""
    parts: dict[str, list[float]] = field(default_factory=dict)
    """Mean and standard deviation of the returns of each code of a policy with several, by name, over equally many
    episodes each."""

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        *,
        expert_return: float | None = None,
        random_return: float | None = None,
        parts: Mapping[str, Evaluation] | None = None,
        **others: Any,
    ) -> "Returns":
        """The record of an evaluation with its scores; `others` are further fields by name."""
        summary: dict[str, Any] = evaluation.summary()
        return cls(
            **summary,
            **others,
            expert_return=expert_return,
            random_return=random_return,
            normalised_return=normalised_return(summary["return_mean"], random_return, expert_return),
            share_of_failures=share_of_failures(evaluation.returns, expert_return),
            per_episode_returns=evaluation.returns.tolist(),
            parts={
                name: [float(each.returns.mean()), float(each.returns.std())] for name, each in (parts or {}).items()
            },
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """The training of a run, its duration and its results. Unknown numbers are None (null in the file)."""

    agent: str
    """Name of the agent, e.g. `gail`; of image models `image`."""
    seed: int
    """Seed of the training."""
    steps: int
    """Steps or updates trained for, over all resumes."""
    unit: str = "steps"
    """Unit of `steps`: environment `steps`, over all environments, or `updates`."""
    wall_seconds: float
    """Training time [s] over all resumes, without evaluations."""
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    peak_memory_mb: float | None = None
    """Largest resident memory of the process [MiB]."""
    peak_gpu_memory_mb: float | None = None
    """Largest memory of tensors on the GPU since the last resume [MiB]; None on a CPU."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Further metrics, by name; the run's `Display` determines which of them reports show, and how."""
    returns: Returns | None = None
    """Returns of a policy, whose entries are among the others in the file; None for an image model."""

    @property
    def env_steps(self) -> int:
        """Environment steps of the training."""
        return self.steps if self.unit == "steps" else 0

    @property
    def steps_per_second(self) -> float | None:
        """Speed of the training, in steps or updates per second."""
        return self.steps / self.wall_seconds if self.wall_seconds > 0 else None

    def entries(self) -> dict[str, Any]:
        """The contents of result.json: the fields, including those of `returns`, and for a policy `env_steps` and
        `env_steps_per_second`."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "returns"}
        if self.returns is None:
            return own
        speed = self.steps_per_second if self.env_steps else None
        return {**own, "env_steps": self.env_steps, "env_steps_per_second": speed, **asdict(self.returns)}

    def row(self) -> dict[str, Any]:
        """The entries for a line of a table, including the metrics."""
        own = self.entries()
        return {**own.pop("metrics"), **own}

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write FOLDER/result.json (strict JSON, atomically)."""
        path = Path(folder) / "result.json"
        write_json(path, self.entries())
        return path

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Result":
        """The result of a run folder. Raises `InputError` if the run has none.

        Entries with a default may be missing, and entries without a field count as metrics, so that results of earlier
        versions can be read.
        """
        path = Path(folder) / "result.json"
        if not path.is_file():
            raise problem(f"a finished run at {folder}", "one without result.json", f"finish it: rlgen resume {folder}")
        found = _present(read_object(path))
        known = {each.name for kind in (cls, Returns) for each in fields(kind)}
        nested = found.get("metrics", {})
        if not isinstance(nested, dict):
            raise problem(f"metrics by name in {path}", repr(nested)[:80], REMEDY)
        loose = {name: value for name, value in found.items() if name not in known}
        own = {name: value for name, value in found.items() if name != "returns"} | {"metrics": {**loose, **nested}}
        returns = entries_of(Returns, found, path, REMEDY) if "return_mean" in found else None
        return replace(entries_of(cls, own, path, REMEDY), returns=returns)

    def __getattr__(self, name: str) -> Any:
        """Deprecated: entries of `returns` as attributes of the result."""
        if name not in {each.name for each in fields(Returns)} or self.returns is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        warnings.warn(f"read result.returns.{name}", DeprecationWarning, stacklevel=2)
        return getattr(self.returns, name)


def _present(found: dict[str, Any]) -> dict[str, Any]:
    """The entries of a result with the names of this version, without derived ones."""
    found = {RENAMED.get(name, name): value for name, value in found.items()}
    steps, updates = found.pop("env_steps", None), found.pop("updates", None)
    for speed in ("env_steps_per_second", "images_per_second"):
        found.pop(speed, None)
    if "steps" not in found and (steps is not None or updates is not None):
        found |= {"steps": steps, "unit": "steps"} if updates is None else {"steps": updates, "unit": "updates"}
    if "env" not in found:
        found.setdefault("unit", "updates")
    means, stds = found.pop("return_mean_of_code", None), found.pop("return_std_of_code", None)
    if isinstance(means, list) and isinstance(stds, list):
        found["parts"] = {f"code {code}": list(pair) for code, pair in enumerate(zip(means, stds, strict=False))}
    return found


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far [MiB]; None on systems that do not report it."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
