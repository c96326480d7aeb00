"""Distinguishes terminations from time limits where a file marks both alike."""

import logging
from pathlib import Path

import numpy as np

log = logging.getLogger("rlgen")


def time_limited(
    lengths: np.ndarray, ended: np.ndarray, cut: list[bool | None], time_limit: int | None, path: Path
) -> np.ndarray:
    """[E] bool: episodes that a time limit ended. A guess from the lengths is logged.

    Args:
        lengths: [E] steps.
        ended: [E] bool, the file's own mark of an end.
        cut: whether the file states a time limit for each episode; None where it does not say.
        time_limit: steps after which the environment truncates an episode, None if unknown.
    """
    if time_limit is not None:
        return lengths >= time_limit
    known = [flag for flag in cut if flag is not None]
    if len(known) == len(cut):
        return np.array(known, bool)
    longest = lengths == lengths.max(initial=0)
    guess = longest & (ended.all() and longest.sum() > 1)
    found = f"the {guess.sum()} longest, of {lengths.max()} steps, are" if guess.any() else "none is"
    log.warning(
        "expected separate marks of terminations and time limits; %s marks both alike: of its %d episodes %s taken as "
        "cut by a time limit; to state it yourself: rlgen demos convert --time-limit STEPS (in Python time_limit)",
        *(path, len(lengths), found),
    )
    return guess
