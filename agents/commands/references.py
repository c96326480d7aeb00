"""Reference returns of normalized scores, from the evaluation's seed: random actions and, if available, the expert."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import spaces

from rlgen.data.demonstrations import Demonstrations
from rlgen.runs.evaluation import RandomPolicy, evaluate
from rlgen.runs.scores import Reference
from rlgen.sb3.load import load_policy

log = logging.getLogger("rlgen")
EVALUATION_SEED = 10_000
MAX_EVALUATION_ENVS = 50
RANDOM_EPISODES, RANDOM_ENVS = 100, 50
"""Episodes of random actions, independent of the number that a policy plays, so that all scores of a task have one
scale. The standard error over 100 is 29 on Pendulum (3 % of its scale), 10 on Ant and 8 on HalfCheetah (0.2 %)."""
EXPERT = "expert_evaluation"
"""Metadata key of a run's demonstrations: the return of their expert's policy in the run's evaluation."""


def random_return(make: Callable[[int], Any], seed: int = EVALUATION_SEED) -> float | None:
    """Mean return of uniformly random actions; None where actions are unbounded, which the log says. `make(n)`: n
    environments."""
    env = make(RANDOM_ENVS)
    try:
        space = env.action_space
        if isinstance(space, spaces.Box) and not space.is_bounded():
            log.info("no return of random actions, and so no normalized return: the action space is unbounded")
            return None
        return float(evaluate(RandomPolicy(space), env, RANDOM_EPISODES, seed=seed, label=None).returns.mean())
    finally:
        env.close()


def played_by_expert(policy: Path, make: Callable[[int], Any], episodes: int, seed: int = EVALUATION_SEED) -> float:
    """Mean return of the policy in a .zip. Raises `InputError` if it is not one for this environment."""
    env = make(min(episodes, MAX_EVALUATION_ENVS))
    try:
        loaded = load_policy(policy, env.observation_space, env.action_space)
        return float(evaluate(loaded, env, episodes, seed=seed, label="evaluating the expert").returns.mean())
    finally:
        env.close()


def with_expert(
    demonstrations: Demonstrations, expert: Path | None, make: Callable[[int], Any], episodes: int
) -> Demonstrations:
    """The demonstrations, with the return of the expert's policy in the run's evaluation in their metadata, if the
    policy is given. An entry of the file itself is dropped, because it is from another evaluation."""
    metadata = {name: value for name, value in demonstrations.metadata.items() if name != EXPERT}
    if expert is None:
        return replace(demonstrations, metadata=metadata)
    earned = played_by_expert(expert, make, episodes)
    played = {"policy": expert.name, "episodes": episodes, "seed": EVALUATION_SEED}
    return replace(demonstrations, metadata={**metadata, EXPERT: {**played, "return_mean": earned}})


def reference_of(demonstrations: Demonstrations | None) -> tuple[float | None, Reference]:
    """The return that a normalized score of 1 means, and its source."""
    if demonstrations is None:
        return None, "demonstrations"
    noted = demonstrations.metadata.get(EXPERT)
    if isinstance(noted, dict) and isinstance(noted.get("return_mean"), float):
        return noted["return_mean"], "expert"
    return demonstrations.expert_return, "demonstrations"
