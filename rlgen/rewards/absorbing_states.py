"""What a reward source needs to know of absorbing states."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.equations.absorbing_states import absorbing_log_ratio, end_rate, outside_log_ratio
from rlgen.equations.divergences import Divergence
from rlgen.errors import problem


def require_discount(gamma: float) -> None:
    """Raises `InputError` for a discount under which the return of an absorbing state has no limit."""
    if not 0 <= gamma < 1:
        raise problem(
            "a discount below 1 with absorbing states, whose return is infinite otherwise",
            f"gamma {gamma:g}",
            'use e.g. 0.99, or AdversarialConfig(absorbing="off"), --gail.discriminator.absorbing off',
        )


@dataclass(kw_only=True)
class AbsorbingStates:
    """The absorbing state in which an episode goes on that the task has ended (`rlgen.equations.absorbing_states`):
    counts how often the policy's steps end an episode, and finds the logits that follow.

    `forget`: fraction of what has been counted that each `count` forgets. Raises `InputError` for a divergence whose
    logit does not determine a log-ratio, and for a discount of 1.
    """

    divergence: Divergence
    gamma: float
    """Discount factor of the learner, below 1."""
    expert_ends: float
    """Number of demonstrated episodes that the task ended."""
    expert_steps: float
    """Number of steps that were demonstrated, also those that a file does not hold."""
    forget: float = 1.0
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        require_discount(self.gamma)
        if self.divergence.log_ratio is None:
            raise problem(
                "a divergence whose logit determines a density ratio, with absorbing states",
                "hinge or wasserstein",
                'use e.g. minimax, or AdversarialConfig(absorbing="off"), --gail.discriminator.absorbing off',
            )
        self.ends, self.steps = torch.zeros(2, device=self.device)

    def count(self, terminated: Tensor) -> None:
        """Counts how many of the policy's steps [B] ended an episode."""
        ended = distributed.all_reduce_mean(terminated.float().mean()) * len(terminated)
        self.ends = (1 - self.forget) * self.ends + ended
        self.steps = (1 - self.forget) * self.steps + len(terminated)

    def logits(self, logit: Tensor) -> tuple[Tensor, Tensor]:
        """The logits [B] of transitions and that of the absorbing state, [], of a discriminator between the occupancies
        of expert and policy, from the logit [B] of one that has seen transitions alone."""
        assert self.divergence.log_ratio is not None
        assert self.divergence.optimal_logit is not None
        # Both as if counted in as many steps: what is too rare for the demonstrations to show makes no difference.
        policy_rate = end_rate(self.expert_steps * self.ends / self.steps.clamp(min=1), self.expert_steps)
        rates = torch.full_like(policy_rate, end_rate(self.expert_ends, self.expert_steps)), policy_rate
        outside = self.divergence.log_ratio(logit) + outside_log_ratio(*rates, self.gamma)
        inside = absorbing_log_ratio(*rates, self.gamma)
        return self.divergence.optimal_logit(outside), self.divergence.optimal_logit(inside)

    def state_dict(self) -> dict[str, Tensor]:
        return {"ends": self.ends, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.ends, self.steps = (state[name].to(self.device) for name in ("ends", "steps"))
