"""Starts of episodes that move backward along a demonstrated trajectory, from its goal to its start."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import require_flat
from rlgen.display import Metric, Panel
from rlgen.errors import problem


class BackwardStarts(BaseCallback):
    """Starts every episode in a state of the demonstrated episodes, first near their ends, and `stride` steps earlier
    each time that a share `enough` of the episodes since the last move had a return above 0. The reward of the end is
    then never far, and the policy learns one piece after the other. Salimans & Chen 2018 (1812.03381).

    Starts are drawn from `window` successive steps; a state that ended its episode is no start. Once the window has
    passed the first step, episodes start as the task does.

    Differs from the paper: several trajectories; success is a return above 0, not the demonstrated one; an episode from
    a demonstrated state has the whole time limit before it.

    Raises `InputError` for tasks whose episodes cannot start in observed states, and for demonstrations of another
    environment.
    """

    panels = (Panel("Starts: share of the trajectory before them", (Metric("starts/before", "share"),), (0, 1)),)

    def __init__(
        self,
        env: VecEnv,
        demonstrations: Demonstrations,
        *,
        window: int = 40,
        stride: int = 10,
        enough: float = 0.5,
        episodes: int = 50,
    ):
        super().__init__()
        start_from = getattr(env, "start_from", None)
        if start_from is None or getattr(env, "backend", None) == "warp":
            remedy = "use a task that rlgen steps itself, on the CPU"
            got = f"{getattr(env, 'env_id', env)} on {getattr(env, 'backend', 'another simulator')}"
            raise problem("an environment whose episodes can start in observed states", got, remedy)
        require_flat(demonstrations.observations, "starts that move backward", demonstrations.source, "leave them out")
        demonstrations.validate(env)
        self.start_from, self.demonstrations = start_from, demonstrations
        self.trajectories: Sequence[np.ndarray] = [
            np.asarray(each.observations)[: -1 if each.terminated else None] for each in demonstrations.episodes()
        ]
        self.window, self.stride, self.enough, self.episodes = window, stride, enough, episodes
        self.longest = max(len(each) for each in self.trajectories)
        self.back = min(window, self.longest)
        """Steps from the ends of the trajectories back to the first start of the window."""
        self.won, self.played = 0, 0
        self._place()

    @property
    def done(self) -> bool:
        """Whether episodes start as the task does."""
        return self.back - self.window >= self.longest

    def _place(self) -> None:
        if self.done:
            self.start_from(self.trajectories[0][:1], 0.0)
            return
        rows = []
        for each in self.trajectories:
            first = max(0, len(each) - self.back)
            rows.append(each[first : max(first + 1, len(each) - self.back + self.window)])
        self.start_from(np.concatenate(rows), 1.0)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.played += 1
                self.won += info["episode"]["r"] > 0
        return True

    def _on_rollout_end(self) -> None:
        if not self.done and self.played >= self.episodes:
            if self.won >= self.enough * self.played:
                self.back += self.stride
                self._place()
            self.won, self.played = 0, 0
        self.logger.record("starts/before", self.before)

    @property
    def before(self) -> float:
        """Share of the longest trajectory that is before the window; 0 once episodes start as the task does."""
        return max(0.0, 1 - self.back / self.longest) if not self.done else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"back": self.back, "won": self.won, "played": self.played}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`; call it before the environment's state is loaded."""
        self.back, self.won, self.played = int(state["back"]), int(state["won"]), int(state["played"])
        self._place()
