"""How far a training is."""

from stable_baselines3.common.base_class import BaseAlgorithm


def progress_remaining(model: BaseAlgorithm) -> float:
    """The share of the present `learn` that is left, by the steps made so far: 1 at its start, 0 from its end on.

    SB3's own `_current_progress_remaining` is that of the round before, and until the first rollout of a new `learn` is
    over that of the `learn` before.
    """
    return max(0.0, 1 - model.num_timesteps / model._total_timesteps)
