"""The complete state of a model in training, except its environment."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.noise import (
    ActionNoise,
    NormalActionNoise,
    OrnsteinUhlenbeckActionNoise,
    VectorizedActionNoise,
)
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.spaces import with_entries
from rlgen.errors import problem
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.sb3.adaptive_rate import KLAdaptiveLR
from rlgen.sb3.lasting_actions import LastingActions
from rlgen.sb3.plain_pickle import array_like, own_array, plain
from rlgen.sb3.relabel_replay import plain_replay_buffer


def clone_tensors(tree: Any) -> Any:
    """`tree` of dicts, lists and tuples with copies of its tensors: the next step changes the tensors of a torch
    `state_dict` in place."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: clone_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(clone_tensors(value) for value in tree)
    return tree


class SkipFirstCall:
    """Replaces a method of `owner`: the first call does nothing and restores the method."""

    def __init__(self, owner: Any, method: str):
        self.owner, self.method = owner, method
        setattr(owner, method, self)

    def __call__(self, *arguments: Any) -> None:
        delattr(self.owner, self.method)


COUNTERS = ("_episode_num", "_n_calls", "exploration_rate", "_current_progress_remaining")
"""Counters of some algorithms; those that a model lacks are left out."""
ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def off_policy_state(model: OffPolicyAlgorithm) -> dict[str, Any]:
    """Optimizers by their names in the model, learned tensors outside its policy, counters, the generator of its random
    actions, their noise, and the filled part of its replay buffer.

    The buffer's tensors share its memory, which the next step changes. Raises `InputError` for a replay buffer or a
    noise that is not SB3's, because its complete state is unknown.
    """
    modules, tensors = model._get_torch_save_params()
    original = getattr(model, "_last_original_obs", None)
    state = {
        "optimisers": {
            name: clone_tensors(recursive_getattr(model, name).state_dict()) for name in modules if name != "policy"
        },
        "tensors": {name: recursive_getattr(model, name).detach().clone() for name in tensors},
        "counters": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
        "random_actions": model.action_space.np_random.bit_generator.state,
        "noise": [np.array(noise.noise_prev) for noise in _wandering(model.action_noise)],
        "last_original_observations": None if original is None else tree.each_entry(np.array, original),
        "replay": _replay_state(model),
        **({"lasting_noise": model.noise_state()} if isinstance(model, LastingActions) else {}),
    }
    return plain(state)


def load_off_policy_state(model: OffPolicyAlgorithm, state: dict[str, Any]) -> None:
    """The inverse of `off_policy_state`, for a model built with the same arguments."""
    modules, tensors = model._get_torch_save_params()
    for name in modules:
        if name != "policy":
            load_optimizer(recursive_getattr(model, name), state["optimisers"][name])
    for name in tensors:
        own, saved = recursive_getattr(model, name), state["tensors"][name]
        if saved.shape != own.shape or not saved.isfinite().all():
            raise problem(f"{name} {list(own.shape)}, finite", f"{saved}", "load the state of the same model")
        with torch.no_grad():  # in place: an optimizer holds the tensor
            own.copy_(saved)
    for name in COUNTERS:
        if hasattr(model, name):
            setattr(model, name, type(getattr(model, name))(state["counters"][name]))
    model.action_space.np_random.bit_generator.state = state["random_actions"]
    if state["noise"]:
        _load_noise(model, state["noise"])
    if state["last_original_observations"] is not None:
        model._last_original_obs = _of_all_envs(model, state["last_original_observations"])
    _load_replay(model, state["replay"])
    if isinstance(model, LastingActions):
        model.load_noise_state(state["lasting_noise"])


def _replay_state(model: OffPolicyAlgorithm) -> dict[str, Any]:
    buffer = _plain_buffer(model)
    filled = slice(_filled(buffer))
    arrays = {name: tree.take(getattr(buffer, name), filled) for name in ARRAYS if hasattr(buffer, name)}
    return {"position": buffer.pos, "full": buffer.full, "rows": buffer.buffer_size, "arrays": arrays}


def _load_replay(model: OffPolicyAlgorithm, state: dict[str, Any]) -> None:
    buffer = _plain_buffer(model)
    if buffer.buffer_size != state["rows"]:
        raise problem(
            f"a replay buffer of {buffer.buffer_size} steps in {buffer.n_envs} environments",
            f"one of {state['rows']} steps",
            "make the model with the buffer_size and the environments it was saved with",
        )
    before = _filled(buffer)  # clears no more than needed: memory that was never written costs nothing
    for name, saved in state["arrays"].items():
        if name not in ARRAYS:
            raise problem(f"a replay buffer of {', '.join(ARRAYS)}", repr(name), "load the state of the same model")
        for array, rows in _both(getattr(buffer, name), saved, name):
            array[: len(rows)] = array_like(array[: len(rows)], rows, name)
            array[len(rows) : before] = 0
    if not 0 <= state["position"] < buffer.buffer_size:
        raise problem(f"a position below {buffer.buffer_size}", f"{state['position']}", "load the state it saved")
    buffer.pos, buffer.full = int(state["position"]), bool(state["full"])


def _both(own: Any, saved: Any, name: str) -> Iterator[tuple[np.ndarray, Any]]:
    """The arrays of each entry, of the model's own and of saved observations. Raises `InputError` for other entries."""
    mine, theirs = tree.entries(own), tree.entries(saved)
    if mine.keys() != theirs.keys():
        found = [", ".join(names) or "none" for names in (mine, theirs)]
        raise problem(f"{name} with the entries {found[0]}", found[1], "load the state of the same model")
    yield from ((mine[entry], theirs[entry]) for entry in mine)


def _filled(buffer: ReplayBuffer) -> int:
    """Rows in use. If next observations are stored as the next row's, one more than the number of steps."""
    return min(buffer.size() + buffer.optimize_memory_usage, buffer.buffer_size)


def _plain_buffer(model: OffPolicyAlgorithm) -> ReplayBuffer:
    buffer = plain_replay_buffer(model)
    if type(buffer) not in (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer):
        raise problem(
            "a ReplayBuffer, DictReplayBuffer or NStepReplayBuffer of SB3, to save all that belongs to it",
            f"a {type(buffer).__name__}",
            "leave replay_buffer_class out",
        )
    return buffer


def _wandering(noise: ActionNoise | None) -> Iterator[OrnsteinUhlenbeckActionNoise]:
    """The parts of `noise` that have a state."""
    for each in noise.noises if isinstance(noise, VectorizedActionNoise) else [noise]:
        if isinstance(each, OrnsteinUhlenbeckActionNoise):
            yield each
        elif each is not None and not isinstance(each, NormalActionNoise):
            raise problem("action noise of SB3", type(each).__name__, "use normal or Ornstein-Uhlenbeck noise")


def _load_noise(model: OffPolicyAlgorithm, saved: list[np.ndarray]) -> None:
    """Restores Ornstein-Uhlenbeck noise, and keeps it when the next `learn` resets the noise at its start."""
    noise = model.action_noise
    assert noise is not None, "the state has noise, the model has none"
    if model.n_envs > 1 and not isinstance(noise, VectorizedActionNoise):
        noise = model.action_noise = VectorizedActionNoise(noise, model.n_envs)  # as `learn` does
    for each, previous in zip(_wandering(noise), saved, strict=True):
        each.noise_prev = own_array(previous)
    SkipFirstCall(noise, "reset")


def model_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Weights, optimizers, counters, the observations that the next rollout starts from, the state of a recurrent
    policy and the replay buffer of an off-policy model. Call it between two rounds, at the start of a rollout.

    Holds only tensors and JSON values. It does not change while the model continues to learn, except for the tensors of
    the replay buffer: they share its memory, because a copy would need that of a second buffer. Write them to a file,
    or copy them, before the next step.

    SB3 draws the noise of gSDE earlier: a loaded off-policy model continues with other noise for one rollout.
    """
    logger = getattr(model, "_logger", None)
    rate = model.learning_rate
    return {
        "learning_rate": rate.state_dict() if isinstance(rate, KLAdaptiveLR) else None,
        "policy": {name: value.clone() for name, value in model.policy.state_dict().items()},
        **_learning_state(model),
        "num_timesteps": model.num_timesteps,
        "n_updates": int(getattr(model, "_n_updates", 0)),
        "last_observations": None if model._last_obs is None else plain(tree.each_entry(np.array, model._last_obs)),
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


def _of_all_envs(model: BaseAlgorithm, saved: Any) -> Any:
    """A copy of saved observations as arrays. Raises `InputError` unless there is one of each environment."""
    shapes = {name: (model.n_envs, *(each.shape or ())) for name, each in with_entries(model.observation_space).items()}
    found = {name: own_array(rows) for name, rows in tree.entries(saved).items()}
    for name, rows in found.items():
        if rows.shape == (*shapes.get(name, ()), 1):  # a DictReplayBuffer makes columns of discrete observations
            found[name] = rows[..., 0]
    if {name: rows.shape for name, rows in found.items()} != shapes:
        expected, got = (
            ", ".join(f"{name} {list(shape)}".strip() for name, shape in each.items())
            for each in (shapes, {name: rows.shape for name, rows in found.items()})
        )
        raise problem(f"last observations {expected}", got, "load the state into the same model and environment")
    return tree.of_entries(found)


def _shaped_like(expected: Sequence[Tensor], saved: Sequence[Tensor], name: str) -> None:
    shapes = [[list(each.shape) for each in tensors] for tensors in (expected, saved)]
    if shapes[0] != shapes[1]:
        raise problem(f"{name} {shapes[0]}", f"{shapes[1]}", "load the state into the same model and environment")


def _learning_state(model: BaseAlgorithm) -> dict[str, Any]:
    if isinstance(model, OffPolicyAlgorithm):
        return {"off_policy": off_policy_state(model)}
    return {"optimiser": clone_tensors(model.policy.optimizer.state_dict())}


def _sde_noise(model: BaseAlgorithm) -> list[Tensor]:
    """Noise matrices that an on-policy model with gSDE has drawn for the rollout that starts; empty after a training,
    because the next one draws its own."""
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
        load_optimizer(model.policy.optimizer, state["optimiser"])
    if isinstance(model.learning_rate, KLAdaptiveLR):
        model.learning_rate.load_state_dict(state["learning_rate"])
    model.num_timesteps, model._n_updates = int(state["num_timesteps"]), int(state["n_updates"])
    if state["last_observations"] is not None:
        model._last_obs = _of_all_envs(model, state["last_observations"])
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
        SkipFirstCall(model.policy, "reset_noise")  # called at the start of the rollout that this noise is for
    episodes = [{"r": float(r), "l": int(length), "t": float(t)} for r, length, t in state["episodes"]]
    model.ep_info_buffer = deque(episodes, maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(map(float, state.get("successes", ())), maxlen=model._stats_window_size)
    logger = getattr(model, "_logger", None)
    if logger is not None:
        logger.name_to_value.update({name: float(value) for name, value in state["logged"].items()})
        logger.name_to_count.update({name: int(count) for name, count in state["logged_counts"].items()})
        logger.name_to_excluded.update({name: tuple(map(str, to)) for name, to in state["logged_excluded"].items()})
