"""The capacity of a replay buffer, and the memory it needs."""

import logging
import math
import os

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from rlgen.data.spaces import with_entries
from rlgen.errors import problem

log = logging.getLogger("rlgen")
MOST_TRANSITIONS = 1_000_000
SAVING = 3  # times the replay buffer's memory: itself, and two copies while a checkpoint is written


def default_buffer_size(steps: int, n_envs: int) -> int:
    """Default capacity in transitions: as many as the training makes, at most `MOST_TRANSITIONS`."""
    return min(max(steps, n_envs), MOST_TRANSITIONS)


def bytes_per_transition(env: VecEnv) -> int:
    """Bytes per transition of SB3's replay buffer: two observations in their own precision; action, reward, end and
    time limit in four bytes per number."""
    entries = with_entries(env.observation_space).values()
    observed = sum(math.prod(each.shape) * each.dtype.itemsize for each in entries)
    return 2 * observed + 4 * (spaces.flatdim(env.action_space) + 3)


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
