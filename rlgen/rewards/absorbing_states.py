"""What a reward source needs to know of absorbing states."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.equations.absorbing_states import absorbing_log_ratio, end_rate, outside_log_ratio
from rlgen.equations.divergences import Divergence
from rlgen.errors import problem

WITHOUT = 'AdversarialConfig(absorbing="off"), --gail.discriminator.absorbing off'
"""How a discriminator does without."""


def require_discount(gamma: float, otherwise: str = "") -> None:
    """Raises `InputError` for a discount under which the return of an absorbing state has no limit. `otherwise`: what
    to do instead of another discount, if there is something."""
    if not 0 <= gamma < 1:
        raise problem(
            "a discount below 1 with absorbing states, whose return is infinite otherwise",
            f"gamma {gamma:g}",
            f"make the model with e.g. gamma=0.99, --learner.gamma 0.99{otherwise and f', or {otherwise}'}",
        )


WORSE = 1.0
"""Nats by which an accident's absorbing state is less like the expert than the policy's steps are on average."""
REMEMBERED = 0.99
"""Decay per update of that average."""
COUNTED = ("ends", "steps", "observed", "updates")


@dataclass(kw_only=True)
class AbsorbingStates:
    """The absorbing state in which an episode goes on that the task has ended (`rlgen.equations.absorbing_states`):
    counts how often the policy's steps end an episode, and finds the logits that follow.

    The log-ratio of a policy's steps is below 0 on average, -KL, and far below it where a discriminator knows few
    demonstrated rows by heart, while the state's is 0 if neither side ends. Ending would then be the way to the higher
    reward. Where ends are `accidents`, the state's log-ratio is therefore at least `WORSE` below the average of what
    `observe` was given.

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
    accidents: bool = False
    """Whether an early end is no part of the demonstrated behavior."""
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        require_discount(self.gamma, WITHOUT)
        if self.divergence.log_ratio is None:
            raise problem(
                "a divergence whose logit determines a density ratio, with absorbing states",
                "hinge or wasserstein",
                f"use e.g. minimax, or {WITHOUT}",
            )
        self.ends, self.steps = torch.zeros(2, device=self.device)
        self.observed, self.updates = torch.zeros(2, device=self.device)

    def count(self, terminated: Tensor) -> None:
        """Counts how many of the policy's steps [B] ended an episode."""
        ended = distributed.all_reduce_mean(terminated.float().mean()) * len(terminated)
        self.ends = (1 - self.forget) * self.ends + ended
        self.steps = (1 - self.forget) * self.steps + len(terminated)

    def observe(self, logit: Tensor) -> None:
        """Merges the mean log-ratio of the policy's steps, from their logits [B], into its running average."""
        mean = distributed.all_reduce_mean(self._outside(logit, *self._rates()).mean())
        self.observed = REMEMBERED * self.observed + (1 - REMEMBERED) * mean
        self.updates = REMEMBERED * self.updates + (1 - REMEMBERED)

    def logits(self, logit: Tensor) -> tuple[Tensor, Tensor]:
        """The logits [B] of transitions and that of the absorbing state, [], of a discriminator between the occupancies
        of expert and policy, from the logit [B] of one that has seen transitions alone."""
        assert self.divergence.optimal_logit is not None
        rates = self._rates()
        outside, inside = self._outside(logit, *rates), absorbing_log_ratio(*rates, self.gamma)
        if self.accidents:
            inside = torch.minimum(inside, self.observed / self.updates.clamp(min=1 - REMEMBERED) - WORSE)
        return self.divergence.optimal_logit(outside), self.divergence.optimal_logit(inside)

    def _rates(self) -> tuple[Tensor, Tensor]:
        """Rates of ends of expert and policy, both as if counted in as many steps: what is too rare for the
        demonstrations to show makes no difference."""
        policy = end_rate(self.expert_steps * self.ends / self.steps.clamp(min=1), self.expert_steps)
        return torch.full_like(policy, end_rate(self.expert_ends, self.expert_steps)), policy

    def _outside(self, logit: Tensor, expert_rate: Tensor, policy_rate: Tensor) -> Tensor:
        assert self.divergence.log_ratio is not None
        return self.divergence.log_ratio(logit) + outside_log_ratio(expert_rate, policy_rate, self.gamma)

    def state_dict(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in COUNTED}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        for name in COUNTED:
            setattr(self, name, state.get(name, torch.zeros(())).to(self.device))
