"""BabyAI's bot (Chevalier-Boisvert et al. 2019, 1810.08272) as an expert, which plans from the state of the task."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.errors import problem
from rlgen.sb3.instructed import InstructedEnv
from rlgen.sb3.load import LoadedPolicy, load_policy

log = logging.getLogger("rlgen")
BOT = "babyai-bot"
"""Name of the bot where a policy's file is expected."""


class BabyAIBot:
    """A policy that acts in the BabyAI environments of one VecEnv, whatever the observations.

    It may be asked while others act: the bot adjusts its plan to the action that was taken, and makes a new plan from
    the current state where that fails. Where there is no plan either, e.g. because the only box that the mission is
    about was opened, it answers `done`, and `unplanned` counts these states.

    Raises `InputError` for other environments.
    """

    def __init__(self, env: Any):
        self.envs = babyai_envs(env)
        if not self.envs:
            got = f"{getattr(env, 'env_id', env)}"
            raise problem(f"a BabyAI task for the expert {BOT}, e.g. BabyAI-GoToLocal-v0", got, "give another expert")
        from minigrid.utils.baby_ai_bot import BabyAIBot as Bot

        self.make = Bot
        self.bots: list[Any] = [None] * len(self.envs)
        self.unplanned = 0

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, None]:
        """Actions [N] in the current states of the environments."""
        return np.array([self._action(number) for number in range(len(self.envs))]), None

    def _action(self, number: int) -> int:
        env, bot = self.envs[number], self.bots[number]
        inner: Any = env.unwrapped
        if bot is not None and env.last_action is not None:
            try:
                return int(bot.replan(env.last_action))
            except Exception as error:  # its plans are asserts and lookups, and it knows no opened boxes
                log.debug("%s makes a new plan: %r", BOT, error)
        try:
            self.bots[number] = self.make(inner)
            return int(self.bots[number].replan())
        except Exception as error:
            log.debug("%s has no plan: %r", BOT, error)
            self.bots[number] = None
            self.unplanned += 1
            return int(inner.actions.done)


def is_bot(expert: Path | None) -> bool:
    """Whether an expert is the bot, and no file."""
    return str(expert) == BOT


def load_expert(expert: Path, env: Any) -> "BabyAIBot | LoadedPolicy":
    """The expert of this name or file in a VecEnv. Raises `InputError` as `load_policy` and `BabyAIBot` do."""
    if is_bot(expert):
        return BabyAIBot(env)
    return load_policy(expert, env.observation_space, env.action_space)


def babyai_envs(env: Any) -> list[InstructedEnv]:
    """The environments of a VecEnv; empty if they are not BabyAI's."""
    found = [_instructed(each) for each in getattr(env.unwrapped, "envs", [])]
    ours = [each for each in found if each is not None and ".babyai." in type(each.unwrapped).__module__]
    return ours if len(ours) == len(found) else []


def _instructed(env: Any) -> InstructedEnv | None:
    """The `InstructedEnv` among the wrappers of an environment; None without one."""
    while env is not None and not isinstance(env, InstructedEnv):
        env = getattr(env, "env", None)
    return env
