"""What recording and evaluating have in common: who acts, and how the episodes are shared out."""

from typing import Any, Protocol

import numpy as np


class Policy(Protocol):
    """What acts: an SB3 model or policy, or anything with the same `predict`."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = ...) -> tuple[np.ndarray, Any]:
        """Actions [N, A] in environment scale for observations [N, O], and a state that is not used."""
        ...


def episode_shares(episodes: int, n_envs: int) -> np.ndarray:
    """[N] how many of `episodes` each environment contributes, fixed beforehand: the first E to finish would be short
    ones."""
    return np.full(n_envs, episodes // n_envs) + (np.arange(n_envs) < episodes % n_envs)
