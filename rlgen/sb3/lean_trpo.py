"""SB3-contrib's TRPO with less overhead while environments wait."""

from sb3_contrib import TRPO

from rlgen.sb3.lean_rollout import LeanRollout


class LeanTRPO(LeanRollout, TRPO):
    """TRPO with the rollouts of `LeanRollout`: the same up to rounding. What it saves opens with `TRPO.load`."""
