"""A discriminator of more than two successive observations, such as that of a motion."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.rewards.adversarial import Adversarial


def earlier_rows(demonstrations: Demonstrations, count: int) -> Tensor:
    """[R, count]: for every demonstrated row the rows `count`, …, 2, 1 steps before it, or the first of its episode.
    Raises `InputError` for subsampled demonstrations."""
    demonstrations.require_whole("a window of observations")
    back = torch.arange(count, 0, -1)
    step = torch.tensor(demonstrations.step).long()
    return torch.arange(len(demonstrations))[:, None] - torch.minimum(back, step[:, None])


@dataclass
class WindowAdversarial(Adversarial):
    """`Adversarial` whose inputs are `config.window` successive observations of vectors, the last of which is the next
    observation; before the start of an episode stands its first observation.

    `earlier` are the `earlier_rows` of the demonstrations. A batch is a rollout of `n_envs` environments, time-major;
    the observations at its end are kept for the next one.
    """

    earlier: Tensor = None  # type: ignore[assignment]
    n_envs: int = 1

    def __post_init__(self) -> None:
        self.count = self.config.window - 2
        """Observations in addition to those of a transition."""
        self.seen: tuple[Transitions[Any], Tensor] | None = None
        """The newest batch, and its earlier observations [B, count, O]."""
        self.tail: Tensor | None = None
        """[count, N, O]: observations before the next rollout."""
        super().__post_init__()
        device = self.demonstrations.terminated.device
        self.earlier = self.earlier.to(device)
        self.age = torch.zeros(self.n_envs, dtype=torch.long, device=device)
        """[N] observations of the tail that belong to the episode in progress."""
        self.last = self.demonstrations.observations[:0]
        """[N, O]: where the last rollout has ended."""

    def _input_size(self, action_size: int) -> int:
        return self.config.window * self.observations.size

    def inputs(self, batch: Transitions[Any]) -> Tensor:
        if batch is self.demonstrations:
            before = batch.observations[self.earlier]
        elif self.seen is not None and batch is self.seen[0]:
            before = self.seen[1]
        else:
            expected = "the rollout that the discriminator has learned from last, whose earlier observations it knows"
            raise problem(expected, "other transitions", "leave the window at 2 to reward any transitions")
        seen = torch.cat([before, batch.observations[:, None], batch.next_observations[:, None]], 1)
        return self.observations(seen.flatten(0, 1)).view(len(batch), -1)

    def update(self, batch: Transitions[Any]) -> dict[str, Tensor]:
        self.seen = batch, self._before(batch)
        return super().update(batch)

    def _before(self, batch: Transitions[Any]) -> Tensor:
        """[B, count, O]: earlier observations, oldest first."""
        rows = batch.observations.view(-1, self.n_envs, batch.observations.shape[1])
        following = batch.next_observations.view_as(rows)
        ended = (batch.terminated | batch.truncated).view(rows.shape[:2])
        if self.tail is None:
            tail = rows[:1].expand(self.count, -1, -1)
            age = torch.zeros_like(self.age)
        else:
            tail = self.tail
            age = torch.where((self.last == rows[0]).all(-1), self.age, 0)  # a reset has moved it elsewhere
        every, ages = torch.cat([tail, rows]), []
        for end in ended:
            ages.append(age)
            age = torch.where(end, 0, (age + 1).clamp(max=self.count))
        self.tail, self.age, self.last = every[-self.count :].clone(), age, following[-1].clone()
        back = torch.arange(self.count, 0, -1, device=rows.device)
        now = self.count + torch.arange(len(rows), device=rows.device)
        places = now[:, None, None] - torch.minimum(back, torch.stack(ages)[..., None])
        envs = torch.arange(self.n_envs, device=rows.device)[None, :, None]
        return every[places, envs].flatten(0, 1)

    def state_dict(self) -> dict[str, Any]:
        kept = {} if self.tail is None else {"tail": self.tail, "age": self.age, "last": self.last}
        return {**super().state_dict(), "window": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.tail = None
        for name, value in state["window"].items():
            setattr(self, name, value.to(self.age.device))
