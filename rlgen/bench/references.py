"""What a task's values are measured against: random actions and the expert."""

from collections.abc import Sequence
from statistics import mean

from rlgen.bench.protocol import Metric, Protocol, Task, name_of
from rlgen.bench.rows import Row

RANDOM, EXPERT = "random", "expert"
RETURNS = ("return_mean", "rollout/ep_rew_mean")
"""Metrics that are returns of the task, for which runs measure the references."""


def references_of(task: Task, metric: Metric, entries: Row) -> tuple[float | None, float | None]:
    """Values with a score of 0 and of 1: those that the run measured for returns, else those of the protocol."""
    measured = (entries.get("random_return"), entries.get("expert_return")) if metric.name in RETURNS else (None, None)
    stated = (task.random, task.expert)
    random, expert = (found if found is not None else own for found, own in zip(measured, stated, strict=True))
    return random, expert


def reference_of(protocol: Protocol, kind: str, rows: Sequence[Row]) -> float | None:
    """Value of random actions or of the expert on the task of `rows`: what the runs measured, else the protocol's."""
    task = next(task for task in protocol.tasks if name_of(task) == rows[0]["task"])
    measured = [row[f"{kind}_return"] for row in rows if row.get(f"{kind}_return") is not None]
    if protocol.metric.name in RETURNS and measured:
        return mean(measured)
    return task.random if kind == RANDOM else task.expert
