"""What an off-policy SB3 model needs beyond any model to go on exactly where it stopped: its optimisers, its replay
buffer and its exploration."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.noise import (
    ActionNoise,
    NormalActionNoise,
    OrnsteinUhlenbeckActionNoise,
    VectorizedActionNoise,
)
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr

from rlgen.errors import problem
from rlgen.nn.optimiser_state import load_optimiser
from rlgen.sb3.keep_once import KeepOnce
from rlgen.sb3.own_tensors import own_tensors
from rlgen.sb3.plain_state import array_like, own_array, plain
from rlgen.sb3.relabel_replay import own_buffer

COUNTERS = ("_episode_num", "_n_calls", "exploration_rate", "_current_progress_remaining")
"""Numbers that some algorithms count by; those that a model does not have are left out."""
ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def off_policy_state(model: OffPolicyAlgorithm) -> dict[str, Any]:
    """Optimisers by their names in the model, tensors that it learns beside its policy, counters, the generator of its
    random actions, the noise on them, and the filled part of its replay buffer.

    The buffer's tensors share its memory, which the next step changes. Raises `InputError` for a replay buffer or a
    noise that is not SB3's, of which nobody knows what belongs to its state.
    """
    modules, tensors = model._get_torch_save_params()
    original = getattr(model, "_last_original_obs", None)
    state = {
        "optimisers": {
            name: own_tensors(recursive_getattr(model, name).state_dict()) for name in modules if name != "policy"
        },
        "tensors": {name: recursive_getattr(model, name).detach().clone() for name in tensors},
        "counters": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
        "random_actions": model.action_space.np_random.bit_generator.state,
        "noise": [np.array(noise.noise_prev) for noise in _wandering(model.action_noise)],
        "last_original_observations": None if original is None else np.array(original),
        "replay": _replay_state(model),
    }
    return plain(state)


def load_off_policy_state(model: OffPolicyAlgorithm, state: dict[str, Any]) -> None:
    """The inverse of `off_policy_state`, for a model built with the same arguments."""
    modules, tensors = model._get_torch_save_params()
    for name in modules:
        if name != "policy":
            load_optimiser(recursive_getattr(model, name), state["optimisers"][name])
    for name in tensors:
        own, saved = recursive_getattr(model, name), state["tensors"][name]
        if saved.shape != own.shape or not saved.isfinite().all():
            raise problem(f"{name} {list(own.shape)}, finite", f"{saved}", "load the state of the same model")
        with torch.no_grad():  # in place: an optimiser holds the tensor
            own.copy_(saved)
    for name in COUNTERS:
        if hasattr(model, name):
            setattr(model, name, type(getattr(model, name))(state["counters"][name]))
    model.action_space.np_random.bit_generator.state = state["random_actions"]
    if state["noise"]:
        _load_noise(model, state["noise"])
    if state["last_original_observations"] is not None:
        expected = np.empty((model.n_envs, *(model.observation_space.shape or ())), model.observation_space.dtype)
        saved = state["last_original_observations"]
        model._last_original_obs = array_like(expected, saved, "last original observations").copy()
    _load_replay(model, state["replay"])


def _replay_state(model: OffPolicyAlgorithm) -> dict[str, Any]:
    buffer = _plain_buffer(model)
    arrays = {name: getattr(buffer, name)[: _filled(buffer)] for name in ARRAYS if hasattr(buffer, name)}
    return {"position": buffer.pos, "full": buffer.full, "rows": buffer.buffer_size, "arrays": arrays}


def _load_replay(model: OffPolicyAlgorithm, state: dict[str, Any]) -> None:
    buffer = _plain_buffer(model)
    if buffer.buffer_size != state["rows"]:
        raise problem(
            f"a replay buffer of {buffer.buffer_size} steps in {buffer.n_envs} environments",
            f"one of {state['rows']} steps",
            "make the model with the buffer_size and the environments it was saved with",
        )
    before = _filled(buffer)  # to clear no more than needed: memory that was never written costs nothing
    for name, saved in state["arrays"].items():
        if name not in ARRAYS:
            raise problem(f"a replay buffer of {', '.join(ARRAYS)}", repr(name), "load the state of the same model")
        array = getattr(buffer, name)
        array[: len(saved)] = array_like(array[: len(saved)], saved, name)
        array[len(saved) : before] = 0
    if not 0 <= state["position"] < buffer.buffer_size:
        raise problem(f"a position below {buffer.buffer_size}", f"{state['position']}", "load the state it saved")
    buffer.pos, buffer.full = int(state["position"]), bool(state["full"])


def _filled(buffer: ReplayBuffer) -> int:
    """Rows that are in use. Where next observations are the next row's, one more than there are steps."""
    return min(buffer.size() + buffer.optimize_memory_usage, buffer.buffer_size)


def _plain_buffer(model: OffPolicyAlgorithm) -> ReplayBuffer:
    buffer = own_buffer(model)
    if type(buffer) not in (ReplayBuffer, NStepReplayBuffer):
        raise problem(
            "a ReplayBuffer or NStepReplayBuffer of SB3, to save all that belongs to it",
            f"a {type(buffer).__name__}",
            "leave replay_buffer_class out",
        )
    return buffer


def _wandering(noise: ActionNoise | None) -> Iterator[OrnsteinUhlenbeckActionNoise]:
    """The noises within `noise` that remember where they were."""
    for each in noise.noises if isinstance(noise, VectorizedActionNoise) else [noise]:
        if isinstance(each, OrnsteinUhlenbeckActionNoise):
            yield each
        elif each is not None and not isinstance(each, NormalActionNoise):
            raise problem("action noise of SB3's kinds", type(each).__name__, "use normal or Ornstein-Uhlenbeck noise")


def _load_noise(model: OffPolicyAlgorithm, saved: list[np.ndarray]) -> None:
    """Put Ornstein-Uhlenbeck noise where it was, across the reset of noise with which the next `learn` begins."""
    noise = model.action_noise
    assert noise is not None, "the state has noise, the model has none"
    if model.n_envs > 1 and not isinstance(noise, VectorizedActionNoise):
        noise = model.action_noise = VectorizedActionNoise(noise, model.n_envs)  # as `learn` does
    for each, previous in zip(_wandering(noise), saved, strict=True):
        each.noise_prev = own_array(previous)
    KeepOnce(noise, "reset")
