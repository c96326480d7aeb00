"""The attack of `rlgen evaluate --attack`: its unit, and its entries of the file."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rlgen.nn.attacks import AttackName
from rlgen.runs.evaluation import RandomPolicy
from rlgen.sb3.attacked_policy import (
    AttackedPolicy,
    own_observation_std,
    require_attackable,
    visited_observation_std,
)
from rlgen.sb3.load import LoadedPolicy

log = logging.getLogger("rlgen")
ROWS, ENVS, SEED = 10_000, 10, 50_000
"""Observations of a random policy that give the unit of an attack, and their environments."""
STEPS = 10


@dataclass(frozen=True, kw_only=True)
class ObservationAttack:
    """An attack on a policy's observations."""

    name: AttackName
    epsilon: float
    """Radius in standard deviations of each number."""
    codes: int = 0
    """Last numbers of an observation that are not attacked: the code of InfoGAIL."""

    def on(self, loaded: LoadedPolicy, make: Callable[[int, int], Any]) -> tuple[AttackedPolicy, dict[str, Any]]:
        """The attacked policy, and the entries of the file. `make(n, seed)`: n environments."""
        require_attackable(loaded)
        std, unit = own_observation_std(loaded), "policy's normalizer"
        if std is None:
            std, unit = self._visited(make), "random policy"
        if self.codes:
            std = torch.cat([std[: -self.codes], torch.zeros(self.codes)])
        log.info("observations are attacked by %s within %g standard deviations (%s)", self.name, self.epsilon, unit)
        described = {
            "attack": self.name,
            "epsilon": self.epsilon,
            "attack_unit": unit,
            "attack_steps": STEPS if self.name == "pgd" else 1,
        }
        return AttackedPolicy(loaded, self.name, self.epsilon, std, STEPS), described

    def _visited(self, make: Callable[[int, int], Any]) -> torch.Tensor:
        env = make(ENVS, SEED)
        try:
            return visited_observation_std(RandomPolicy(env.action_space, SEED), env, ROWS)
        finally:
            env.close()
