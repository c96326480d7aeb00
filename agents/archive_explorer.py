"""Exploration by an archive of states: returns to a state that was reached, explores from there in a short burst of
noise, and keeps new states that last."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rlgen.checks import at_least, positive, share
from rlgen.data.archive import Archive, Reached
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.episode import Episode
from rlgen.data.playing import Policy
from rlgen.data.recording import environment_id
from rlgen.data.transitions import Transitions
from rlgen.data.visits import Axis, Visits
from rlgen.equations.correlated_noise import autoregressive, correlation_of
from rlgen.errors import problem
from rlgen.rewards.source import RewardSource
from rlgen.sb3.exploration_noise import step_seconds
from rlgen.sb3.vec_env import SimVecEnv

log = logging.getLogger("rlgen")
Seen = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Observations, actions, next observations and ends of a step of all environments."""


@dataclass(frozen=True, kw_only=True)
class ArchiveConfig:
    """Settings of exploration by an archive (Ecoffet et al. 2021, Go-Explore, 2004.12919, without its policy)."""

    burst: tuple[int, int] = (20, 80)
    """Fewest and most steps of a burst of noise from a restored state."""
    lasting: int = 20
    """Steps that an episode must go on after a state for the state to be kept: one before a fall leads nowhere."""
    noise_seconds: float = 0.1
    """Correlation time of the noise, in seconds of the environment."""
    noise_std: float = 1.0
    """Standard deviation of the noise, as a share of half of each action's range."""
    round_steps: int = 400
    """Steps per environment between two checkpoints; bursts that are unfinished then are given up."""
    policy_share: float = 0.5
    """Share of the bursts in which the policy acts, if one is given."""

    def __post_init__(self) -> None:
        fewest, most = self.burst
        if not 1 <= fewest <= most:
            raise problem("a burst of 1 or more steps, the fewest first", f"{self.burst}", "use e.g. 20 80")
        at_least(self, 0, "lasting", "noise_seconds")
        at_least(self, most + self.lasting, "round_steps", remedy="make rounds longer than bursts")
        positive(self, "noise_std")
        share(self, "policy_share")


@dataclass
class Burst:
    """A burst in one environment."""

    node: int
    left: int
    by_policy: bool
    cell: tuple[int, ...]
    steps: int
    """Steps of the episode so far."""
    reward: float
    """Sum of the episode's rewards so far."""
    actions: list[np.ndarray] = field(default_factory=list)
    waiting: list[tuple[int, Reached]] = field(default_factory=list)
    """States that have not lasted yet, each with the number of the burst's actions that led to it."""


class ArchiveExplorer:
    """Fills an `Archive` of `env` in rounds of `ArchiveConfig.round_steps` steps per environment.

    `source`, a curiosity on its own, makes states whose last step it rewards likelier to be chosen; it learns from
    every round. `policy` acts in a share of the bursts, with its noise.

    Raises `InputError` for environments whose states cannot be restored, and for discrete actions.
    """

    def __init__(
        self,
        env: SimVecEnv,
        axes: Sequence[Axis],
        config: ArchiveConfig | None = None,
        *,
        seed: int = 0,
        source: RewardSource | None = None,
        policy: Policy | None = None,
    ):
        if not isinstance(env, SimVecEnv):
            remedy = "use a task of rlgen.envs.TASKS or CLASSIC_TASKS"
            raise problem("an environment whose states can be restored", environment_id(env) or "another one", remedy)
        self.env, self.config, self.source, self.policy = env, config or ArchiveConfig(), source, policy
        self.archive, self.visits = Archive(axes), Visits([each for each in axes[:2]])
        self.rng = np.random.default_rng(seed)
        self.steps = 0
        space: Any = env.action_space
        self.low, self.high = space.low, space.high
        self.half_range, self.center = (self.high - self.low) / 2, (self.high + self.low) / 2
        self.correlation = correlation_of(self.config.noise_seconds, step_seconds(env))
        self.time_limit = env.sim.time_limit or np.inf
        self.noise = torch.zeros(env.num_envs, len(self.center))
        self.bursts: list[Burst] = []

    def begin(self) -> None:
        """Starts episodes in all environments, whose states are the first of the archive."""
        observations = self.env.reset()
        rows = self.env.save_rows(np.arange(self.env.num_envs))
        cells = self.archive.cells_of(observations)
        still = np.zeros(len(self.center), np.float32)
        for index, observed in enumerate(observations):
            state = {name: array[index] for name, array in rows.items()}
            node = self.archive.add_start(state)
            first = Reached(
                cell=tuple(cells[index].tolist()),
                origin=node,
                actions=still[None][:0],
                state=state,
                steps=0,
                reward=0.0,
                transition=(observed, still, observed),
            )
            self.archive.add(first)

    def round(self) -> dict[str, float]:
        """Explores for a round and returns what it logs."""
        if not self.archive.starts:
            self.begin()
        self.bursts = [Burst(0, 0, False, (), 0, 0.0) for _ in range(self.env.num_envs)]
        observations, worth = np.array(self.env.current_observations()), self._worth()
        seen: list[Seen] = []
        self._start(np.arange(self.env.num_envs), observations, worth)
        for step in range(self.config.round_steps):
            actions = self._act(observations)
            after, rewards, dones, infos = self.env.step(actions)
            self.steps += self.env.num_envs
            true = np.array(after)
            for index in np.flatnonzero(dones):
                true[index] = infos[index]["terminal_observation"]
            self._note_rewards(rewards)
            if self.source is not None:
                seen.append((observations.copy(), actions, true, dones))
            self._keep(observations, actions, true, rewards, dones)
            observations = np.array(after)
            over = [
                index for index, burst in enumerate(self.bursts) if dones[index] or burst.left <= -self.config.lasting
            ]
            if over and step < self.config.round_steps - 1:
                self._start(np.array(over), observations, worth)
        return self._learn(seen)

    def _note_rewards(self, rewards: np.ndarray) -> None:
        if self.visits.first_reward_step is None and (rewards > 0).any():
            self.visits.first_reward_step = self.steps

    def _start(self, which: np.ndarray, observations: np.ndarray, worth: np.ndarray | None) -> None:
        """Restores chosen states in the environments `which`, and starts bursts there."""
        known = None if worth is None else np.pad(worth, (0, len(self.archive) - len(worth)), constant_values=1.0)
        picked = self.archive.choose(self.rng, len(which), self.time_limit, known)
        entries = [self.archive.entries[each] for each in picked]
        names = entries[0].state
        self.env.load_rows(which, {name: np.stack([entry.state[name] for entry in entries]) for name in names})
        fewest, most = self.config.burst
        for index, number, entry in zip(which.tolist(), picked, entries, strict=True):
            by_policy = self.policy is not None and self.rng.random() < self.config.policy_share
            length = int(self.rng.integers(fewest, most + 1))
            node = self.archive.nodes[number]
            self.bursts[index] = Burst(node, length, by_policy, entry.cell, entry.steps, entry.reward)
            observations[index] = entry.transition[2]
            self.noise[index] = self._fresh()

    def _fresh(self) -> torch.Tensor:
        return torch.from_numpy(self.rng.standard_normal(self.noise.shape[1:]).astype(np.float32))

    def _act(self, observations: np.ndarray) -> np.ndarray:
        """Actions [N, A] of the bursts."""
        fresh = torch.from_numpy(self.rng.standard_normal(self.noise.shape).astype(np.float32))
        self.noise = autoregressive(self.noise, fresh, self.correlation)
        noisy = self.center + self.config.noise_std * self.half_range * self.noise.numpy()
        if self.policy is not None:
            played, _ = self.policy.predict(observations, deterministic=False)
            noisy = np.where([[burst.by_policy] for burst in self.bursts], played, noisy)
        return noisy.clip(self.low, self.high).astype(np.float32)

    def _keep(
        self, before: np.ndarray, actions: np.ndarray, after: np.ndarray, rewards: np.ndarray, dones: np.ndarray
    ) -> None:
        """Adds states that have lasted to the archive, and remembers new ones."""
        cells = self.archive.cells_of(after)
        for index, burst in enumerate(self.bursts):
            burst.left, burst.steps, burst.reward = (
                burst.left - 1,
                burst.steps + 1,
                burst.reward + float(rewards[index]),
            )
            burst.actions.append(actions[index])
            if dones[index]:  # what did not last is forgotten, unless the end is what earns
                if burst.reward > 0:
                    self.archive.add_end(self._reached(burst, cells[index], before[index], after[index], {}))
                continue
            cell = tuple(cells[index].tolist())
            if burst.left >= 0 and cell != burst.cell and self.archive.improves(cell, burst.reward, burst.steps):
                burst.cell = cell
                state = {name: array[0] for name, array in self.env.save_rows(np.array([index])).items()}
                reached = self._reached(burst, cells[index], before[index], after[index], state)
                burst.waiting.append((len(burst.actions), reached))
            while burst.waiting and len(burst.actions) - burst.waiting[0][0] >= self.config.lasting:
                self.archive.add(burst.waiting.pop(0)[1])
        self.visits.add(after)

    def _reached(
        self, burst: Burst, cell: np.ndarray, before: np.ndarray, after: np.ndarray, state: dict[str, np.ndarray]
    ) -> Reached:
        """Where the burst is after its last action."""
        return Reached(
            cell=tuple(cell.tolist()),
            origin=burst.node,
            actions=np.stack(burst.actions),
            state=state,
            steps=burst.steps,
            reward=burst.reward,
            transition=(before.copy(), burst.actions[-1], after.copy()),
        )

    def _worth(self) -> np.ndarray | None:
        """How much the curiosity rewards the last steps of the entries, [K], relative to the mean."""
        if self.source is None or self.steps == 0:
            return None
        before, actions, after = (torch.as_tensor(each) for each in self.archive.transitions())
        none = torch.zeros(len(before), dtype=torch.bool)
        bonus = self.source.reward(Transitions(before, actions, after, none, none)).cpu().numpy().astype(float)
        bonus = np.where(np.isfinite(bonus), bonus, 0).clip(min=0)
        return bonus / bonus.mean() if bonus.mean() > 0 else None

    def _learn(self, seen: Sequence[Seen]) -> dict[str, float]:
        best = self.archive.best(1)
        found: dict[str, float] = {
            "archive/cells": len(self.archive),
            "archive/best_reward": best[0][0].reward if best else 0.0,
            "archive/nodes": len(self.archive.parents),
        }
        if self.source is not None:
            before, actions, after, ended = (torch.as_tensor(np.concatenate(each)) for each in zip(*seen, strict=True))
            rows = Transitions(before, actions, after, ended.bool(), torch.zeros(len(ended), dtype=torch.bool))
            found |= {f"archive/curiosity_{name}": float(value) for name, value in self.source.update(rows).items()}
        return found

    def demonstrations(self, n: int) -> Demonstrations | None:
        """The `n` best trajectories from the start of an episode, played again step by step; None if no state has a
        reward. One that does not lead to the same state again, bit for bit, is left out, and the log says so."""
        played = [self._replayed(*each) for each in self.archive.best(n)]
        episodes = [each for each in played if each is not None]
        if len(episodes) < len(played):
            lost = len(played) - len(episodes)
            log.warning("%d of %d trajectories did not lead to the same state again: left out", lost, len(played))
        if not episodes:
            return None
        bounds = {"action_low": self.low.tolist(), "action_high": self.high.tolist()}
        origin = {"source": "archive of restored states", "restored_states": True, "env_kwargs": self.env.env_kwargs}
        return Demonstrations.from_episodes(episodes, self.env.env_id, {**origin, **bounds}, "the archive")

    def _replayed(self, entry: Reached, node: int) -> Episode | None:
        start, actions = self.archive.path(node)
        began = self.archive.starts[start]
        self.env.load_rows(np.array([0]), {name: array[None] for name, array in began.items()})
        observations, rewards = [self.env.current_observations()[0]], list[Any]()
        held = np.tile(self.center, (self.env.num_envs, 1)).astype(np.float32)
        for action in actions:
            held[0] = action
            stepped: Any = self.env.step(held)
            after, reward, dones, infos = stepped
            observations.append(infos[0]["terminal_observation"] if dones[0] else after[0])
            rewards.append(reward[0])
        if not np.array_equal(observations[-1], entry.transition[2]):
            return None
        ended = bool(dones[0]) and not infos[0]["TimeLimit.truncated"]
        whole = {"observations": np.stack(observations), "rewards": np.stack(rewards)}
        return Episode(actions=actions, terminated=ended, **whole)

    def state_dict(self) -> dict[str, Any]:
        """The complete state between two rounds."""
        return {
            "archive": self.archive.state_dict(),
            "visits": self.visits.state_dict(),
            "generator": self.rng.bit_generator.state,
            "steps": self.steps,
            "env": self.env.state_dict(),
            "source": None if self.source is None else self.source.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, for an explorer made with the same arguments."""
        self.archive.load_state_dict(state["archive"])
        self.visits.load_state_dict(state["visits"])
        self.rng.bit_generator.state = state["generator"]
        self.steps = int(state["steps"])
        self.env.load_state_dict(state["env"])
        if self.source is not None:
            self.source.load_state_dict(state["source"])
