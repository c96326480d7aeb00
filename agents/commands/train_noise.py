"""`rlgen train noise`: the exploration of an untrained policy, a baseline of curiosities."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from rlgen.checks import positive
from rlgen.sb3.fast_ppo import FastPPO
from rlgen.sb3.vec_env import ResumableVecEnv

from ..explorer import Explorer
from ..learner import EXPLORATION, EXPLORATION_ENVS, policy_for, require_spaces, set_action_std
from .environment import coverage_of
from .settings import SteppedTraining


class Untrained(FastPPO):
    """Collects rollouts and never changes its policy."""

    def train(self) -> None:
        """Do not learn from the rollout."""


@dataclass(frozen=True, kw_only=True)
class TrainNoise(SteppedTraining):
    """Exploration by action noise alone: the policy stays as initialized. A curiosity should exceed its coverage of
    states and its rewards.

    Mean action and noise are the initial ones of `rlgen train explore`.
    """

    agent: ClassVar[str] = "noise"

    std: float = EXPLORATION.initial_std
    """Standard deviation of continuous actions, as a share of half the action range; above 0."""
    n_envs: int = EXPLORATION_ENVS
    """Environments stepped at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "std")

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        require_spaces(env)
        coverage = coverage_of(self.env, env.observation_space)
        rollout: dict[str, Any] = {"n_steps": EXPLORATION.n_steps, "batch_size": EXPLORATION.n_steps}
        policy = policy_for(EXPLORATION, env.observation_space)
        model = Untrained(env=env, **policy, **rollout, seed=self.seed, device=device)
        set_action_std(model, self.std)
        return Explorer(model, coverage=coverage)
