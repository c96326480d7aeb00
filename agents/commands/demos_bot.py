"""Demonstrations of BabyAI's bot."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.data import Demonstrations

log = logging.getLogger("rlgen")


def record_bot(env: Any, episodes: int, seed: int) -> "Demonstrations":
    """The episodes among `episodes` of BabyAI's bot in the VecEnv `env` in which it fulfills its mission; the log says
    how many it does not.

    Raises `InputError` for other tasks, and where the bot fulfills none.
    """
    from rlgen.data import Demonstrations
    from rlgen.sb3.babyai_bot import BOT, BabyAIBot

    played = Demonstrations.record(BabyAIBot(env), env, episodes, seed)
    whole = played.episodes()
    solved = [each for each in whole if each.rewards is not None and each.rewards.sum() > 0]
    if not solved:
        raise problem("a mission that BabyAI's bot fulfills", f"none of {len(whole)} episodes", "choose another task")
    failed = len(whole) - len(solved)
    log.info("%s failed in %d of %d episodes%s", BOT, failed, len(whole), ", which are left out" if failed else "")
    metadata = played.metadata | {"policy": BOT, "failed_episodes": failed}
    kept = Demonstrations.from_episodes(solved, played.env_id, metadata) if failed else played
    return replace(kept, metadata=metadata)
