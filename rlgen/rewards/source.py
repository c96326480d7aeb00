"""The one interface of everything that pays the agent."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from rlgen.data.transitions import Transitions


@runtime_checkable
class RewardSource(Protocol):
    """Curiosity, a discriminator: pays for transitions and learns from them.

    On-policy, `update` is called once per rollout with the whole batch, then `reward` of the same; off-policy, `update`
    with the new transitions every so many steps, and `reward` of whatever is drawn from the replay buffer. Observations
    arrive as the environment gave them, and whatever normalisation the source needs it keeps itself; only `update`
    changes it. A source that never reads `next_observations` may say so by an attribute `reads_next_observations =
    False`: it then learns where an environment does not tell the last observation of an episode.
    """

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Learn from B transitions; returns named 0-d tensors on the device, for the log."""
        ...

    def reward(self, batch: Transitions) -> Tensor:
        """Reward per step [B], without gradient."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive a resume: networks, optimisers, normalisers, counters."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...
