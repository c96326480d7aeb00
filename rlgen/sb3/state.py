"""What an SB3 model needs to go on exactly where it stopped, as plain tensors and JSON values."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen.errors import problem
from rlgen.nn.optimiser_state import load_optimiser
from rlgen.sb3.adaptive_rate import AdaptiveRate
from rlgen.sb3.keep_once import KeepOnce
from rlgen.sb3.off_policy_state import load_off_policy_state, off_policy_state
from rlgen.sb3.own_tensors import own_tensors
from rlgen.sb3.plain_state import array_like, own_array, plain


def model_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Weights, optimisers, counters, the observations the next rollout starts from, the memory of a recurrent policy
    and the replay buffer of an off-policy model. Taken between two rounds, that is at the start of a rollout.

    Tensors and JSON values alone. It stays as it is while the model learns on, apart from the tensors of the replay
    buffer: they share its memory, because a copy would need that of a second buffer. Write them to a file, or copy
    them, before the next step.

    SB3 draws the noise of gSDE before that moment: a loaded off-policy model goes on with other noise for one rollout.
    """
    logger = getattr(model, "_logger", None)
    rate = model.learning_rate
    return {
        "learning_rate": rate.state_dict() if isinstance(rate, AdaptiveRate) else None,
        "policy": {name: value.clone() for name, value in model.policy.state_dict().items()},
        **_learning_state(model),
        "num_timesteps": model.num_timesteps,
        "n_updates": int(getattr(model, "_n_updates", 0)),
        "last_observations": None if model._last_obs is None else plain(np.array(model._last_obs)),
        "last_episode_starts": None
        if model._last_episode_starts is None
        else plain(np.array(model._last_episode_starts)),
        "sde_noise": _sde_noise(model),
        "memory": [value.clone() for pair in getattr(model, "_last_lstm_states", None) or () for value in pair],
        "episodes": [[float(e["r"]), int(e["l"]), float(e["t"])] for e in model.ep_info_buffer or ()],
        "successes": [float(each) for each in model.ep_success_buffer or ()],
        "logged": {} if logger is None else {name: float(value) for name, value in logger.name_to_value.items()},
        "logged_excluded": {} if logger is None else {name: list(to) for name, to in logger.name_to_excluded.items()},
        "logged_counts": {} if logger is None else {name: int(value) for name, value in logger.name_to_count.items()},
    }


def _of_all_worlds(model: BaseAlgorithm, observations: np.ndarray) -> np.ndarray:
    """Raises `InputError` unless there is one observation of each environment."""
    expected = (model.n_envs, *(model.observation_space.shape or ()))
    if observations.shape != expected:
        came = f"{list(observations.shape)}"
        raise problem(f"last observations {list(expected)}", came, "load the state into the same model and environment")
    return observations


def _shaped_like(expected: Sequence[Tensor], saved: Sequence[Tensor], name: str) -> None:
    shapes = [[list(each.shape) for each in tensors] for tensors in (expected, saved)]
    if shapes[0] != shapes[1]:
        raise problem(f"{name} {shapes[0]}", f"{shapes[1]}", "load the state into the same model and environment")


def _learning_state(model: BaseAlgorithm) -> dict[str, Any]:
    if isinstance(model, OffPolicyAlgorithm):
        return {"off_policy": off_policy_state(model)}
    return {"optimiser": own_tensors(model.policy.optimizer.state_dict())}


def _sde_noise(model: BaseAlgorithm) -> list[Tensor]:
    """The matrices of the noise that an on-policy model with gSDE has drawn for the rollout that begins; none after a
    training, because the next one draws its own."""
    if not (isinstance(model, OnPolicyAlgorithm) and model.use_sde) or model._last_obs is None:
        return []
    if model.rollout_buffer.full or model.rollout_buffer.pos > 0:
        return []
    noise: Any = model.policy.action_dist
    return [noise.exploration_mat.detach().clone(), noise.exploration_matrices.detach().clone()]


def load_model_state(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    """The inverse of `model_state`, for a model built with the same arguments."""
    model.policy.load_state_dict(state["policy"])
    if isinstance(model, OffPolicyAlgorithm):
        load_off_policy_state(model, state["off_policy"])
    else:
        load_optimiser(model.policy.optimizer, state["optimiser"])
    if isinstance(model.learning_rate, AdaptiveRate):
        model.learning_rate.load_state_dict(state["learning_rate"])
    model.num_timesteps = state["num_timesteps"]
    model._n_updates = state["n_updates"]
    if state["last_observations"] is not None:
        model._last_obs = _of_all_worlds(model, own_array(state["last_observations"]))
        starts = state["last_episode_starts"]
        if starts is not None:
            starts = array_like(np.empty(model.n_envs, bool), starts, "last episode starts").copy()
        model._last_episode_starts = starts
    if state.get("memory"):
        hidden = [value.to(model.device) for value in state["memory"]]
        states: Any = model._last_lstm_states  # type: ignore[attr-defined]
        _shaped_like([each for pair in states for each in pair], hidden, "memory")
        model._last_lstm_states = type(states)(tuple(hidden[:2]), tuple(hidden[2:]))  # type: ignore[attr-defined]
    if state.get("sde_noise"):
        noise: Any = model.policy.action_dist
        shape = noise.exploration_mat.shape
        expected = [torch.empty(shape), torch.empty(model.n_envs, *shape)]
        _shaped_like(expected, state["sde_noise"], "noise")
        noise.exploration_mat, noise.exploration_matrices = (each.to(model.device) for each in state["sde_noise"])
        KeepOnce(model.policy, "reset_noise")  # with which the rollout begins that the noise is for
    episodes = [{"r": r, "l": length, "t": t} for r, length, t in state["episodes"]]
    model.ep_info_buffer = deque(episodes, maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(state.get("successes", ()), maxlen=model._stats_window_size)
    logger = getattr(model, "_logger", None)
    if logger is not None:
        logger.name_to_value.update(state["logged"])
        logger.name_to_count.update(state["logged_counts"])
        logger.name_to_excluded.update({name: tuple(to) for name, to in state["logged_excluded"].items()})
