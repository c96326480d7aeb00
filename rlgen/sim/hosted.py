"""A `DeviceEnv` for who thinks in NumPy, such as Stable-Baselines3's algorithms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgen.sim.device_env import DeviceEnv
from rlgen.sim.simulator import Step
from rlgen.sim.task import State


class HostedSim:
    """The face of a `Simulator`; arrays come back through pinned memory, waiting for the device once a step."""

    backend = "warp"
    reports = False

    def __init__(self, env: DeviceEnv) -> None:
        self.env, self.task, self.n_envs, self.margin_rule = env, env.task, env.n_envs, env.margin_rule
        self.action_low, self.action_high = env.action_low, env.action_high
        self._landing: dict[str, Tensor] = {}

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray:
        return self._fetch(observations=self.env.reset(seeds))["observations"]

    def observe(self) -> np.ndarray:
        return self._fetch(observations=self.env.observe())["observations"]

    def step(self, actions: np.ndarray) -> Step:
        given = torch.from_numpy(np.ascontiguousarray(actions, dtype=np.float32))
        step = self.env.step(given.to(self.env.device, non_blocking=True))
        arrays = self._fetch(
            observations=step.observations,
            rewards=step.rewards,
            terminated=step.terminated,
            truncated=step.truncated,
        )
        finished = np.flatnonzero(arrays["terminated"] | arrays["truncated"])
        rows = torch.from_numpy(finished).to(self.env.device)
        ended = [each[rows].cpu().numpy() for each in (step.final_observations, step.episode_returns)]
        lengths = step.episode_lengths[rows].cpu().numpy()
        if len(finished):
            self.env.check()
        return Step(
            **arrays,  # type: ignore[arg-type]
            finished=finished,
            final_observations=ended[0],
            episode_returns=ended[1],
            episode_lengths=lengths,
        )

    def state_dict(self) -> dict[str, Any]:
        return self.env.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.env.load_state_dict(state)

    @property
    def now(self) -> State:
        """The present state on the host; of `mocap_pos` and the like what the task reads."""
        return State(**{name: array.cpu().numpy() for name, array in vars(self.env.physics.now).items()})

    def close(self) -> None:
        """Nothing is held besides memory."""

    def _fetch(self, **tensors: Tensor) -> dict[str, np.ndarray]:
        """Copies of the tensors on the host, all in one wait."""
        if self.env.device.type == "cpu":
            return {name: tensor.numpy().copy() for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            if name not in self._landing:
                self._landing[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._landing[name].copy_(tensor, non_blocking=True)
        torch.cuda.current_stream(self.env.device).synchronize()
        return {name: self._landing[name].numpy().copy() for name in tensors}
