"""The states that a training visits and its first reward: counted once per rollout, logged and saved."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen import distributed
from rlgen.data.visits import Visits
from rlgen.display import Metric, Panel
from rlgen.sb3.plain_pickle import own_array, plain
from rlgen.sb3.rollout import Rollout, rollout_of
from rlgen.sb3.steps import RawObservations, normalizer_of

CHUNK = 1000  # rows of states that an off-policy model collects between two counts


class Coverage(BaseCallback):
    """Counts the states in which a model acts, whatever its algorithm, and records the first reward of the task.

    States are the environment's raw observations, also under a VecNormalize.

    Logs `coverage/cells` (cells visited so far), `coverage/share` (of the grid, if it has ends),
    `coverage/first_reward` (environment steps, once there was one) and `coverage/rewarded` (share of the recent
    episodes with a positive return). Counts the states of on-policy models once per rollout, on a device when the next
    rollout starts, and those of other models every 1000 states.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Cells of the state grid visited", (Metric("coverage/cells", "cells"),), limits=(0, None)),
        Panel("Share of recent episodes rewarded", (Metric("coverage/rewarded", "share"),), limits=(0, 1)),
        Panel(
            "Coverage once more",
            (Metric("coverage/share", "share"), Metric("coverage/first_reward", "step")),
            drawn=False,
        ),
    )
    results: ClassVar[tuple[Metric, ...]] = (
        Metric("first_reward_step", "first reward", "steps", absent="never"),
        Metric("cells_visited", "cells visited"),
    )

    def __init__(self, visits: Visits):
        super().__init__()
        self.visits = visits
        self.waiting: list[np.ndarray] = []
        self.pending: tuple[Tensor, Tensor] | None = None

    def _init_callback(self) -> None:
        on_policy = isinstance(self.model, OnPolicyAlgorithm)
        self.rollout: Rollout | None = rollout_of(self.model) if on_policy else None
        self.normalizer = normalizer_of(self.model)
        self.columns = torch.tensor(self.visits.columns, device=self.model.device)

    def _on_rollout_start(self) -> None:
        self._count_pending()
        if self.rollout is not None:
            self.rollout.begin()
        else:
            self.raw = None if self.normalizer is None else RawObservations(self.normalizer)

    def _on_step(self) -> bool:
        rewards = self.locals.get("rewards")  # on a device the rewards of a single step are not read
        if rewards is not None and self.visits.first_reward_step is None and (rewards > 0).any():
            self.visits.first_reward_step = self.model.num_timesteps
        if self.rollout is not None:
            self.rollout.record(self.locals)
            return True
        acted_in = self.model._last_obs if self.raw is None else self.raw.rows[-1]
        self.waiting.append(np.array(acted_in, dtype=np.float32))
        if len(self.waiting) * self.model.n_envs >= CHUNK:
            self._count_waiting()
        if self.raw is not None:
            self.raw.add()
        return True

    def _on_rollout_end(self) -> None:
        if self.rollout is None:
            return
        states = self.rollout.states
        if self.rollout.log.on_device:
            seen = states.flatten(0, 1).index_select(1, self.columns)
            self.pending = seen, self.rollout.task_rewards.amax(1)
        else:
            self._count(states.numpy())

    def _on_training_end(self) -> None:
        self._count_waiting()
        self._count_pending()

    def _count_pending(self) -> None:
        """Counts the states of a rollout on a device after it has been learned from: the first wait for the device."""
        if self.pending is None:
            return
        (seen, best), self.pending = self.pending, None
        rewarded = np.flatnonzero(distributed.all_reduce_max(best).cpu().numpy() > 0)
        if self.visits.first_reward_step is None and len(rewarded):
            since = int(len(best) - 1 - rewarded[0]) * (len(seen) // len(best)) * distributed.world_size()
            self.visits.first_reward_step = self.model.num_timesteps - since
        self._count(distributed.all_gather(seen).cpu().numpy()[None], self.visits.columns)

    def _count_waiting(self) -> None:
        if self.waiting:
            self._count(np.stack(self.waiting))
            self.waiting = []

    def _count(self, observations: np.ndarray, columns: Sequence[int] | None = None) -> None:
        """Counts observations [T, N, O], or only these components of them."""
        self.visits.add(observations.reshape(observations.shape[0] * observations.shape[1], -1), columns)
        self.logger.record("coverage/cells", len(self.visits.keys))
        if self.visits.share is not None:
            self.logger.record("coverage/share", self.visits.share)
        if self.visits.first_reward_step is not None:
            self.logger.record("coverage/first_reward", self.visits.first_reward_step)
        if self.model.ep_info_buffer:
            rewarded = [episode["r"] > 0 for episode in self.model.ep_info_buffer]
            self.logger.record("coverage/rewarded", float(np.mean(rewarded)))

    def achieved(self) -> dict[str, Any]:
        """The metrics that `results` shows."""
        return {"first_reward_step": self.visits.first_reward_step, "cells_visited": len(self.visits.cells)}

    def state_dict(self) -> dict[str, Any]:
        return plain({"visits": self.visits.state_dict(), "waiting": np.array(self.waiting, dtype=np.float32)})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.visits.load_state_dict(state["visits"])
        self.waiting = list(own_array(state["waiting"]))
