"""A bonus that an episode has once per place."""

from typing import Any, ClassVar

from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.rewards.source import RewardSource


class AtFirstVisits:
    """`source` with its reward where the episode visits a place for the first time, and 0 elsewhere: the product of a
    novelty over all episodes and one within the episode. Badia et al. 2020 (Never Give Up, 2002.06038), eq. 1.

    So a bonus that lasts at a place, as that of noise does, cannot be had by staying there. `places` rewards first
    visits, a `FirstVisitCounts` with power 0 or a view of it, and needs whole rollouts, as of on-policy models.

    Differs from the paper: the novelty within the episode is 1 for a cell that it has not visited and 0 for others, as
    in BeBold (Zhang et al. 2020, 2012.08621), instead of a kernel over its embeddings, and the other has no limits of
    its own.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Panel(
            "Share of steps that reach a place for the first time in their episode",
            (Metric("first_visits", "share"),),
            limits=(0, None),
        ),
        Panel("Places visited", (Metric("places", "cells"),), limits=(0, None)),
    )

    def __init__(self, source: RewardSource, places: RewardSource):
        self.source, self.places = source, places

    def update(self, batch: Transitions[Any]) -> dict[str, Tensor]:
        found = self.places.update(batch)
        first = (self.places.reward(batch) > 0).float().mean()
        return {**self.source.update(batch), "places": found["cells"], "first_visits": first}

    def reward(self, batch: Transitions[Any]) -> Tensor:
        return self.source.reward(batch) * self.places.reward(batch)

    def state_dict(self) -> dict[str, Any]:
        return {"source": self.source.state_dict(), "places": self.places.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state["source"])
        self.places.load_state_dict(state["places"])
