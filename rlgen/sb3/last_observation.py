"""The true last observation of an episode, which not every vector environment tells."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlgen.errors import problem
from rlgen.sb3.paid import Paid


def last_observation(info: dict[str, Any], before: np.ndarray, sources: Mapping[str, Paid]) -> np.ndarray:
    """`terminal_observation` of the `info` of an episode's last step; where it is missing and nothing reads it, the
    observation `before` that step in its place.

    As for SB3, the key is optional where the task ended the episode: then no value of that observation is learned from.

    Args:
        sources: what pays for the step. One that says `reads_next_observations = False` does without.

    Raises:
        InputError: it is missing, and a time limit cut the episode or something reads it.
    """
    last = info.get("terminal_observation")
    if last is not None:
        return last
    readers = [name for name, paid in sources.items() if getattr(paid.source, "reads_next_observations", True)]
    if info.get("TimeLimit.truncated", False):
        readers.append("the value after a time limit")
    if readers:
        raise problem(
            "the last observation of an episode under 'terminal_observation' in the info of its last step, which "
            f"{' and '.join(readers)} must see",
            "a vector environment that does not tell it",
            "mend the wrapper that drops it, or use an SB3 VecEnv such as DummyVecEnv",
        )
    return before
