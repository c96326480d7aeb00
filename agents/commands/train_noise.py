"""`rlgen train noise`: the exploration of an untrained policy, with which curiosities are compared."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from gymnasium import spaces

from rlgen.checks import positive
from rlgen.data.visits import Visits, axes_within
from rlgen.envs.state_axes import STATE_AXES
from rlgen.errors import problem
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.fast_ppo import FastPPO
from rlgen.sb3.vec_env import ResumableVecEnv

from ..explorer import Explorer
from ..learner import EXPLORATION, EXPLORATION_ENVS, initial_log_std, policy_settings, require_spaces
from .settings import SteppedTraining


class Untrained(FastPPO):
    """Collects rollouts and never changes its policy."""

    def train(self) -> None:
        """Nothing is learned from the rollout."""


@dataclass(frozen=True, kw_only=True)
class TrainNoise(SteppedTraining):
    """Exploration by action noise alone: the policy stays as it is initialized. Its map of visited states and its
    first rewards are what a curiosity has to exceed.

    Mean action and noise are those that `rlgen train explore` starts with.
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
        observed = env.observation_space
        if not isinstance(observed, spaces.Box):
            raise problem("observations that are numbers (Box)", f"{observed}", "wrap the environment")
        require_spaces(env)
        rollout = {"n_steps": EXPLORATION.n_steps, "batch_size": EXPLORATION.n_steps}
        networks = policy_settings(EXPLORATION)
        model = Untrained("MlpPolicy", env, **rollout, policy_kwargs=networks, seed=self.seed, device=device)
        if isinstance(env.action_space, spaces.Box):
            with torch.no_grad():
                model.policy.log_std.copy_(initial_log_std(self.std, env.action_space))
        axes = STATE_AXES.get(self.env) or axes_within(observed.low, observed.high)
        return Explorer(model, coverage=Coverage(Visits(axes)))
