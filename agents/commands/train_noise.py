"""`rlgen train noise`: the exploration of an untrained policy, a baseline of curiosities."""

from dataclasses import dataclass
from typing import Any, ClassVar

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
        observed = env.observation_space
        if not isinstance(observed, spaces.Box):
            raise problem("an observation space that is a Box", f"{observed}", "wrap the environment")
        require_spaces(env)
        rollout: dict[str, Any] = {"n_steps": EXPLORATION.n_steps, "batch_size": EXPLORATION.n_steps}
        networks = policy_settings(EXPLORATION)
        model = Untrained("MlpPolicy", env, **rollout, policy_kwargs=networks, seed=self.seed, device=device)
        if isinstance(env.action_space, spaces.Box):
            with torch.no_grad():
                model.policy.log_std.copy_(initial_log_std(self.std, env.action_space))
        axes = STATE_AXES.get(self.env) or axes_within(observed.low, observed.high)
        return Explorer(model, coverage=Coverage(Visits(axes)))
