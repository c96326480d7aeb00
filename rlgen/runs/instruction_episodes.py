"""The episodes of an evaluation on a task with instructions, one by one."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlgen.equations.path_length import spl
from rlgen.errors import problem
from rlgen.runs.config import entries_of, read_object, write_json
from rlgen.runs.evaluation import Evaluation, evaluate

EPISODES = "instruction_episodes.json"
"""File of the episodes of a run's final evaluation."""
REMEDY = "evaluate the run again"


@dataclass(frozen=True, kw_only=True)
class InstructionEpisodes:
    """E episodes on a task with instructions, by column."""

    instruction: list[str]
    success: list[bool]
    """Whether the episode had a reward."""
    steps: list[int]
    """Length of the episode in environment steps."""
    bot_steps: list[int | None] | None = None
    """Steps of BabyAI's bot in the same episode, None where it failed; None for another task."""
    carried: list[str] | None = None
    """Object that the agent carries at the end, e.g. red ball, or none."""
    faced: list[str] | None = None
    """Last object that the agent stood before, or none."""

    def __post_init__(self) -> None:
        columns = [found for each in fields(self) if (found := getattr(self, each.name)) is not None]
        if len({len(column) for column in columns}) != 1 or not self.instruction:
            got = ", ".join(str(len(column)) for column in columns)
            raise problem("columns of as many episodes, at least one", got, REMEDY)

    @classmethod
    def of(cls, played: Evaluation, env: Any, seed: int) -> "InstructionEpisodes | None":
        """The episodes that were played in the VecEnv `env` with this seed, in which BabyAI's bot plays them too; None
        for a task without instructions."""
        if played.instructions is None:
            return None
        objects = {name: getattr(played, name) for name in ("carried", "faced")}
        return cls(
            instruction=played.instructions.tolist(),
            success=(played.returns > 0).tolist(),
            steps=played.lengths.tolist(),
            bot_steps=_steps_of_bot(played, env, seed),
            **{name: None if each is None else each.tolist() for name, each in objects.items()},
        )

    def success_rate(self, rows: list[int]) -> float:
        """Share of these episodes with a reward."""
        return float(np.mean([self.success[row] for row in rows]))

    def spl(self, rows: list[int]) -> float | None:
        """SPL of these episodes (`rlgen.equations.path_length`). The path that counts as the shortest is that of
        BabyAI's bot, which has to look for its goal too. Episodes in which the bot fails do not count; None without
        others."""
        known = [(row, steps) for row in rows if self.bot_steps and (steps := self.bot_steps[row]) is not None]
        if not known:
            return None
        success = torch.tensor([self.success[row] for row, _ in known])
        shortest = torch.tensor([steps for _, steps in known], dtype=torch.float64)
        taken = torch.tensor([self.steps[row] for row, _ in known], dtype=torch.float64)
        return float(spl(success, shortest, taken))

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write FOLDER/instruction_episodes.json."""
        write_json(Path(folder, EPISODES), self)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "InstructionEpisodes":
        """The episodes of a run folder. Raises `InputError` for a missing or malformed file."""
        path = Path(folder, EPISODES)
        return entries_of(cls, read_object(path), path, REMEDY)


def _steps_of_bot(played: Evaluation, env: Any, seed: int) -> list[int | None] | None:
    from rlgen.sb3.babyai_bot import BabyAIBot, babyai_envs

    if not babyai_envs(env):
        return None
    bot = evaluate(BabyAIBot(env), env, len(played.returns), seed=seed, label="evaluating BabyAI's bot")
    counts = (bot.returns > 0) & (bot.instructions == played.instructions)
    return [int(steps) if known else None for steps, known in zip(bot.lengths, counts, strict=True)]
