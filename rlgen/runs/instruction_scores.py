"""How well a policy follows instructions: its success rate and SPL."""

from typing import Any

import numpy as np
import torch

from rlgen.display import Metric
from rlgen.equations.path_length import spl
from rlgen.runs.evaluation import Evaluation, evaluate
from rlgen.sb3.babyai_bot import BabyAIBot, babyai_envs

KINDS = {"go": "go to", "pick": "pick up", "open": "open", "put": "put next to"}
"""First word of an instruction, and its kind in words."""
METRICS = (
    Metric("success_rate", "success", share=True),
    *(Metric(f"success_{word}", f"success, {kind}", share=True) for word, kind in KINDS.items()),
    Metric("spl", "SPL"),
)
"""The scores of a result."""


def instruction_scores(played: Evaluation, env: Any, seed: int) -> dict[str, float]:
    """Scores of the episodes that were played in the VecEnv `env` with this seed, by name; empty for a task without
    instructions.

    - `success_rate`: share of the episodes with a reward, also for each kind of instructions, if there are several.
    - `spl`, on BabyAI: success weighted by path length (`rlgen.equations.path_length`). The path that counts as the
      shortest is that of BabyAI's bot in the same episode, which has to look for its goal too. Episodes in which the
      bot fails do not count.
    """
    if played.instructions is None:
        return {}
    success = played.returns > 0
    scores = {"success_rate": float(success.mean())}
    first = np.array([text.partition(" ")[0] for text in played.instructions])
    present = [word for word in KINDS if (first == word).any()]
    if len(present) > 1:
        scores |= {f"success_{word}": float(success[first == word].mean()) for word in present}
    if not babyai_envs(env):
        return scores
    bot = evaluate(BabyAIBot(env), env, len(success), seed=seed, label="evaluating BabyAI's bot")
    counts = (bot.returns > 0) & (bot.instructions == played.instructions)
    if counts.any():
        lengths = (torch.as_tensor(each.lengths[counts]).double() for each in (bot, played))
        scores["spl"] = float(spl(torch.as_tensor(success[counts]), *lengths))
    return scores
