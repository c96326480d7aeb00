"""What an on-policy SB3 model needs to go on exactly where it stopped, as plain tensors and JSON values."""

from collections import deque
from typing import Any

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.sb3.adaptive_rate import AdaptiveRate


def model_state(model: OnPolicyAlgorithm) -> dict[str, Any]:
    """Weights, optimiser, counters and the observations the next rollout starts from. Taken between two rounds."""
    logger = getattr(model, "_logger", None)
    rate = model.learning_rate
    return {
        "learning_rate": rate.state_dict() if isinstance(rate, AdaptiveRate) else None,
        "policy": {name: value.clone() for name, value in model.policy.state_dict().items()},
        "optimiser": model.policy.optimizer.state_dict(),
        "num_timesteps": model.num_timesteps,
        "n_updates": int(getattr(model, "_n_updates", 0)),
        "last_observations": None if model._last_obs is None else np.array(model._last_obs),
        "last_episode_starts": None if model._last_episode_starts is None else np.array(model._last_episode_starts),
        "episodes": [[float(e["r"]), int(e["l"]), float(e["t"])] for e in model.ep_info_buffer or ()],
        "logged": {} if logger is None else {name: float(value) for name, value in logger.name_to_value.items()},
        "logged_excluded": {} if logger is None else {name: list(to) for name, to in logger.name_to_excluded.items()},
        "logged_counts": {} if logger is None else {name: int(value) for name, value in logger.name_to_count.items()},
    }


def load_model_state(model: OnPolicyAlgorithm, state: dict[str, Any]) -> None:
    """The inverse of `model_state`, for a model built with the same arguments."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimiser"])
    if isinstance(model.learning_rate, AdaptiveRate):
        model.learning_rate.load_state_dict(state["learning_rate"])
    model.num_timesteps = state["num_timesteps"]
    model._n_updates = state["n_updates"]
    if state["last_observations"] is not None:
        model._last_obs = np.array(state["last_observations"])
        model._last_episode_starts = np.array(state["last_episode_starts"])
    episodes = [{"r": r, "l": length, "t": t} for r, length, t in state["episodes"]]
    model.ep_info_buffer = deque(episodes, maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    logger = getattr(model, "_logger", None)
    if logger is not None:
        logger.name_to_value.update(state["logged"])
        logger.name_to_count.update(state["logged_counts"])
        logger.name_to_excluded.update({name: tuple(to) for name, to in state["logged_excluded"].items()})
