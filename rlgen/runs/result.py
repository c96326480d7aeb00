"""result.json: what a run achieved, in one file that scripts and people read."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlgen.errors import problem
from rlgen.runs.evaluation import Evaluation
from rlgen.runs.json_file import read_entries, write_json
from rlgen.runs.scores import Reference, normalised_return, share_of_failures

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

RENAMED = {"share_of_falls": "terminated"}
"""Earlier name of an entry → its name now."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The final evaluation of a run and what is needed to compare it. Unknown numbers are None (null in the file)."""

    agent: str
    """Name of the agent, e.g. `gail`."""
    env: str
    """Gymnasium id."""
    seed: int
    """Seed of the training."""
    env_steps: int
    """Environment steps trained for, over all environments and resumes."""
    wall_seconds: float
    """Training time [s] over all resumes, evaluations not counted."""
    env_steps_per_second: float | None
    return_mean: float
    """Mean undiscounted return of the evaluation episodes."""
    return_std: float
    return_min: float
    return_max: float
    episode_length_mean: float
    """Environment steps."""
    episodes: int
    terminated: float
    """Share of the episodes that the task ended, by success or by failure, before the time limit."""
    evaluation_seed: int
    expert_return: float | None
    """Mean return that counts as 1; `reference` says whose."""
    random_return: float | None
    """Mean return of uniformly random actions from the evaluation's seed, in a number of episodes of its own."""
    normalised_return: float | None
    """(return_mean − random_return) / (expert_return − random_return)."""
    device: str
    backend: str
    """What stepped the environment: threads, gymnasium, warp."""
    margin_rule: str
    """MuJoCo's contact margin rule: native (their sum) or legacy (the larger one)."""
    versions: dict[str, str]
    git_commit: str | None
    peak_memory_mb: float | None
    """Largest resident memory of the process [MiB]."""
    reference: Reference = "demonstrations"
    """Whose mean return `expert_return` is: that of all episodes of the demonstrations' file, or that of the expert's
    policy in this very evaluation."""
    share_of_failures: float | None = None
    """Share of the episodes with a return below half of `expert_return` (`rlgen.runs.scores.share_of_failures`)."""
    per_episode_returns: list[float | None] | None = None
    """Undiscounted return of every evaluation episode."""
    updates: int | None = None
    """Gradient steps of cloning, which makes no step in the environment; None of other agents."""
    cloning: str | None = None
    """Which cloning was kept: regularised (by dropout and noise) or plain; None of other agents."""
    first_reward_step: int | None = None
    """Environment steps of the training after which the task had paid for the first time."""
    cells_visited: int | None = None
    """Cells that the training visited of the grid in visits.npz."""
    return_mean_of_code: list[float] | None = None
    """Of a policy with codes, whose `return_mean` is that under codes drawn for each episode: under each alone, in as
    many episodes each."""
    return_std_of_code: list[float] | None = None

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        *,
        agent: str,
        env: str,
        seed: int,
        env_steps: int,
        wall_seconds: float,
        evaluation_seed: int,
        expert_return: float | None = None,
        random_return: float | None = None,
        reference: Reference = "demonstrations",
        device: str = "cpu",
        backend: str = "",
        margin_rule: str = "native",
        versions: dict[str, str] | None = None,
        git_commit: str | None = None,
        updates: int | None = None,
        cloning: str | None = None,
        first_reward_step: int | None = None,
        cells_visited: int | None = None,
        of_code: Sequence[Evaluation] = (),
    ) -> "Result":
        """A result from its evaluation; speed, normalised return, failures and memory are worked out here."""
        summary: dict[str, Any] = evaluation.summary()
        return cls(
            agent=agent,
            env=env,
            seed=seed,
            env_steps=env_steps,
            wall_seconds=wall_seconds,
            env_steps_per_second=env_steps / wall_seconds if wall_seconds > 0 else None,
            evaluation_seed=evaluation_seed,
            expert_return=expert_return,
            random_return=random_return,
            reference=reference,
            normalised_return=normalised_return(summary["return_mean"], random_return, expert_return),
            device=device,
            backend=backend,
            margin_rule=margin_rule,
            versions=versions or {},
            git_commit=git_commit,
            updates=updates,
            cloning=cloning,
            peak_memory_mb=peak_memory_mb(),
            share_of_failures=share_of_failures(evaluation.returns, expert_return),
            per_episode_returns=evaluation.returns.tolist(),
            first_reward_step=first_reward_step,
            cells_visited=cells_visited,
            return_mean_of_code=[float(each.returns.mean()) for each in of_code] or None,
            return_std_of_code=[float(each.returns.std()) for each in of_code] or None,
            **summary,
        )

    def returns_by_code(self) -> list[tuple[float, float]]:
        """Mean and standard deviation of the returns under each code; none where the policy has no codes."""
        return list(zip(self.return_mean_of_code or (), self.return_std_of_code or (), strict=True))

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write FOLDER/result.json (strict JSON, whole or not at all)."""
        path = Path(folder) / "result.json"
        write_json(path, self)
        return path

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Result":
        """The result of a run folder; raises `InputError` when the run has none.

        Unknown entries are left out; those that have a default may be missing, and some have an earlier name (a result
        of an earlier version).
        """
        path = Path(folder) / "result.json"
        if not path.is_file():
            raise problem(f"a finished run at {folder}", "one without result.json", f"finish it: rlgen resume {folder}")
        return read_entries(cls, path, "evaluate the run again", RENAMED)


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far [MiB]; None where the system does not tell."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
