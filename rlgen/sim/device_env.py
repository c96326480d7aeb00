"""Environments of one task on one device, with torch tensors, and an adapter with NumPy arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgen.errors import problem
from rlgen.sim.initial_state_pool import InitialStatePool
from rlgen.sim.made_as import require_same_settings
from rlgen.sim.reference_states import ReferenceStates
from rlgen.sim.simulator import Step
from rlgen.sim.task import MarginRule, State, Task
from rlgen.sim.warp_physics import WarpPhysics


class DeviceStep(NamedTuple):
    """One step of N environments. Those that finished are already in their next episode."""

    observations: Tensor
    """[N, O] float32; the initial observation of the next episode where one finished."""
    rewards: Tensor
    """[N] float32."""
    terminated: Tensor
    """[N] bool."""
    truncated: Tensor
    """[N] bool: the time limit is reached, possibly in a step that also terminated."""
    final_observations: Tensor
    """[N, O] float32: observations after the step, before any reset."""
    episode_returns: Tensor
    """[N] float32: sum of the episode's rewards up to this step."""
    episode_lengths: Tensor
    """[N] int64: number of the episode's steps so far."""


class DeviceEnv:
    """N environments of one task on MuJoCo Warp. Methods do not synchronize with the device unless stated.

    The first K episodes of environment i have the initial states of Gymnasium's environment with the seed `seeds[i]`
    (see `InitialStatePool`). If the physics becomes non-finite, the episode is truncated with a reward of 0; `lost`
    counts these episodes.

    Args:
        task: the definition of observation, reward and termination.
        n_envs: N.
        time_limit: steps after which an episode is truncated; None for never.
        device: device of the simulation and of all tensors.
        margin_rule: see `MarginRule`.
        contacts, constraints, captured: see `WarpPhysics`.

    Raises:
        InputError: Warp is not installed, or a size is not positive.
    """

    def __init__(
        self,
        task: Task,
        n_envs: int,
        time_limit: int | None,
        device: torch.device,
        margin_rule: MarginRule = "native",
        contacts: int | None = None,
        constraints: int | None = None,
        captured: bool = True,
    ) -> None:
        for name, size in (("n_envs", n_envs), ("contacts", contacts), ("constraints", constraints)):
            if size is not None and size < 1:
                raise problem(f"{name} of at least 1", str(size), "give a positive whole number")
        self.task, self.n_envs, self.device, self.margin_rule = task, n_envs, device, margin_rule
        self.time_limit = time_limit
        self.physics = WarpPhysics(task, n_envs, device, margin_rule, contacts, constraints, captured)
        self.action_low, self.action_high = self.physics.host.actuator_ctrlrange.T
        self._starts = InitialStatePool(task, self.physics.host, tuple(self.physics.arrays), n_envs, device)
        self._before = State(**{name: array.clone() for name, array in vars(self.physics.now).items()})
        self.elapsed = torch.zeros(n_envs, dtype=torch.int64, device=device)
        self.returns = torch.zeros(n_envs, device=device)
        self.episodes = torch.zeros(n_envs, dtype=torch.int64, device=device)
        """[N]: number of finished episodes of each environment."""
        self.lost = torch.zeros((), dtype=torch.int64, device=device)

    def reset(self, seeds: Sequence[int | None]) -> Tensor:
        """Start new episodes in all environments and return observations [N, O]. Where a seed is None the generator
        continues. The initial states are computed on the host."""
        self._starts.draw(seeds)
        self.episodes.zero_()
        self._begin(torch.ones(self.n_envs, dtype=torch.bool, device=self.device))
        return self.observe()

    def start_from(self, observations: np.ndarray, share: float) -> None:
        """From the next reset on, start this share of the episodes in the states of demonstrated observations [R, O].
        Raises as `ReferenceStates.of`."""
        self._starts.references = ReferenceStates.of(self.task, self.physics.host, observations, share)

    def observe(self) -> Tensor:
        """Observations [N, O] of the current state."""
        return self.task.observe(self.physics.now)

    def step(self, actions: Tensor) -> DeviceStep:
        """Take one step with `actions` [N, A] float32 on the device."""
        now, task = self.physics.now, self.task
        for name, kept in vars(self._before).items():
            kept.copy_(getattr(now, name))
        now.ctrl.copy_(actions)
        self.physics.advance()
        sound = now.qpos.isfinite().all(-1) & now.qvel.isfinite().all(-1)
        rewards = torch.where(sound, task.held_reward(self._before, actions, now), 0.0)
        if "mocap_pos" in task.fields:
            now.mocap_pos.copy_(task.update_mocap(now))
        terminated = task.terminated(now) & sound
        final = torch.where(sound[:, None], self.observe(), 0.0)
        self.elapsed += 1
        self.returns += rewards
        self.lost += (~sound).sum()
        truncated = ~sound if self.time_limit is None else ~sound | (self.elapsed >= self.time_limit)
        finished = terminated | truncated
        returns, lengths = self.returns.clone(), self.elapsed.clone()
        self.episodes += finished
        self._begin(finished)
        observations = torch.where(finished[:, None], self.observe(), final)
        return DeviceStep(observations, rewards, terminated, truncated, final, returns, lengths)

    def check(self) -> None:
        """Synchronize, and raise `InputError` if contacts or constraints exceeded the reserved memory."""
        self.physics.check()

    def state_dict(self) -> dict[str, Any]:
        """The state from which the environments continue bit for bit: arrays on the host and JSON values."""
        counts = {"elapsed": self.elapsed, "returns": self.returns, "episodes": self.episodes, "lost": self.lost}
        return {
            "made_as": self._made_as(),
            "arrays": {name: array.cpu().numpy().copy() for name, array in self.physics.arrays.items()},
            "counts": {name: count.cpu().numpy().copy() for name, count in counts.items()},
            "generators": self._starts.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict()`, on any device. Raises `InputError` if the environment has other arguments."""
        require_same_settings(self.task, self._made_as(), state["made_as"])
        for name, array in self.physics.arrays.items():
            array.copy_(torch.from_numpy(np.asarray(state["arrays"][name])))
        for name, count in state["counts"].items():
            getattr(self, name).copy_(torch.from_numpy(np.asarray(count)))
        self._starts.load_state(state["generators"])

    def save_rows(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """See `Simulator.save_rows`."""
        rows = torch.as_tensor(which, device=self.device)
        physics = {f"physics.{name}": array[rows] for name, array in self.physics.arrays.items()}
        found = {**physics, "elapsed": self.elapsed[rows], "returns": self.returns[rows]}
        return {name: array.cpu().numpy() for name, array in found.items()}

    def load_rows(self, which: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        """See `Simulator.load_rows`."""
        index = torch.as_tensor(which, device=self.device)
        for name, array in self.physics.arrays.items():
            array[index] = torch.as_tensor(rows[f"physics.{name}"], device=self.device)
        self.elapsed[index] = torch.as_tensor(rows["elapsed"], device=self.device)
        self.returns[index] = torch.as_tensor(rows["returns"], device=self.device)

    def _begin(self, which: Tensor) -> None:
        """Start the next episode of the environments `which` [N] bool."""
        for name, start in self._starts.rows(self.episodes).items():
            array = self.physics.arrays[name]
            array.copy_(torch.where(which.view(-1, *[1] * (array.ndim - 1)), start, array))
        self.elapsed.masked_fill_(which, 0)
        self.returns.masked_fill_(which, 0.0)

    def _made_as(self) -> str:
        """The settings that a saved state depends on."""
        return (
            f"{self.n_envs} × {self.task!r}, time limit {self.time_limit}, margin rule {self.margin_rule}, "
            f"MuJoCo {mujoco.__version__} on Warp"
        )


class NumpySim:
    """NumPy adapter of a `DeviceEnv`, with the interface of a `Simulator`. Copies results through pinned memory and
    synchronizes once per step, and again where episodes finish."""

    backend = "warp"
    reports = False

    def __init__(self, env: DeviceEnv) -> None:
        self.env, self.task, self.n_envs, self.margin_rule = env, env.task, env.n_envs, env.margin_rule
        self.time_limit = env.time_limit
        self.action_low, self.action_high = env.action_low, env.action_high
        self._landing: dict[str, Tensor] = {}

    def start_from(self, observations: np.ndarray, share: float) -> None:
        self.env.start_from(observations, share)

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

    def save_rows(self, which: np.ndarray) -> dict[str, np.ndarray]:
        return self.env.save_rows(which)

    def load_rows(self, which: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        self.env.load_rows(which, rows)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.env.load_state_dict(state)

    @property
    def now(self) -> State:
        """The current state on the host; only the arrays that the task reads."""
        return State(**{name: array.cpu().numpy() for name, array in vars(self.env.physics.now).items()})

    def close(self) -> None:
        """Do nothing: no resources other than memory are held."""

    def _fetch(self, **tensors: Tensor) -> dict[str, np.ndarray]:
        """Copies of the tensors on the host, with one synchronization for all."""
        if self.env.device.type == "cpu":
            return {name: tensor.numpy().copy() for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            if name not in self._landing:
                self._landing[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._landing[name].copy_(tensor, non_blocking=True)
        torch.cuda.current_stream(self.env.device).synchronize()
        return {name: self._landing[name].numpy().copy() for name in tensors}
