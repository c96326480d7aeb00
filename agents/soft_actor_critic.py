"""The settings, the construction and the memory of Stable-Baselines3's SAC."""

import logging
import math
import os
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecEnv

from rlgen.checks import at_least, one_of, positive, up_to_one, widths
from rlgen.errors import problem

log = logging.getLogger("rlgen")
MOST_TRANSITIONS = 1_000_000
SAVING = 3  # times the replay buffer's memory: itself, and two copies while a checkpoint is written


@dataclass(frozen=True, kw_only=True)
class SACConfig:
    """Settings of soft actor-critic (Haarnoja et al. 2018, 1812.05905) in Stable-Baselines3, with its defaults; one
    gradient step per environment step, however many environments are stepped at once."""

    on_policy: ClassVar[bool] = False
    everyday: ClassVar[tuple[str, ...]] = ("algorithm",)
    """Options that the short help shows."""

    algorithm: Literal["sac"] = "sac"
    """Reinforcement learning algorithm; trpo needs the extra `contrib`."""
    learning_rate: float = 3e-4
    """Adam learning rate of actor, critics and entropy coefficient."""
    buffer_size: int | None = None
    """Capacity of the replay buffer in transitions; by default that of the training, up to a million. Lower it if
    memory is short."""
    learning_starts: int = 100
    """Environment steps of random actions before the first gradient step."""
    batch_size: int = 256
    """Transitions per gradient step."""
    tau: float = 0.005
    """Soft update coefficient of the target critics, above 0 and at most 1."""
    gamma: float = 0.99
    """Discount factor per environment step, above 0 and at most 1."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""

    def __post_init__(self) -> None:
        one_of(self, "algorithm", ["sac"])
        positive(self, "learning_rate", "buffer_size", "batch_size")
        at_least(self, 0, "learning_starts")
        widths(self, "hidden")
        up_to_one(self, "tau", "gamma")

    def make(self, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> SAC:
        """An untrained model on `env`, for a training of `steps` environment steps. Raises as `make_sac`."""
        return make_sac(self, env, steps, seed, device)

    def keep_buffer(self, steps: int, n_envs: int) -> Self:
        """These settings with the size of the replay buffer that a training of `steps` steps has saved."""
        return replace(self, buffer_size=self.buffer_size or default_buffer_size(steps, n_envs))


def make_sac(config: SACConfig, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> SAC:
    """An untrained SAC on `env`, for a training of `steps` environment steps.

    Raises `InputError` for actions that are not continuous and bounded, and if the replay buffer does not fit into
    memory.
    """
    if not isinstance(env.action_space, spaces.Box):
        raise problem("continuous actions (Box) for SAC", f"{env.action_space}", "use --learner.algorithm ppo")
    if not env.action_space.is_bounded():
        raise problem(
            "actions within finite bounds for SAC", f"{env.action_space}", "bound the environment's action space"
        )
    transitions = config.buffer_size or default_buffer_size(steps, env.num_envs)
    require_memory(transitions * bytes_per_transition(env))
    return SAC(
        "MlpPolicy",
        env,
        learning_rate=config.learning_rate,
        buffer_size=transitions,
        learning_starts=config.learning_starts,
        batch_size=config.batch_size,
        tau=config.tau,
        gamma=config.gamma,
        gradient_steps=-1,
        policy_kwargs={"net_arch": list(config.hidden)},
        seed=seed,
        device=device,
    )


def default_buffer_size(steps: int, n_envs: int) -> int:
    """Default capacity in transitions: as many as the training makes, at most `MOST_TRANSITIONS`."""
    return min(max(steps, n_envs), MOST_TRANSITIONS)


def bytes_per_transition(env: VecEnv) -> int:
    """Bytes per transition of SB3's replay buffer: two observations in their own precision; action, reward, end and
    time limit in four bytes per number."""
    observed = env.observation_space
    assert observed.shape is not None
    assert observed.dtype is not None
    return 2 * math.prod(observed.shape) * observed.dtype.itemsize + 4 * (spaces.flatdim(env.action_space) + 3)


def require_memory(size: int) -> None:
    """Logs the memory that the replay buffer needs. Raises `InputError` if the machine has too little to save it."""
    log.info("replay buffer: %s of memory when it is full, as much on the disk in each checkpoint", readable(size))
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if SAVING * size > present:
        raise problem(
            f"a replay buffer of {readable(present / SAVING)} or less, a third of this machine's memory",
            readable(size),
            "give a smaller --learner.buffer-size",
        )


def readable(size: float) -> str:
    """Bytes as 3.2 GiB or 180 MiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{math.ceil(size / 2**20)} MiB"
