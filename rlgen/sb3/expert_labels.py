"""An expert that is asked for its action in every state that a learner visits."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecTransposeImage, unwrap_vec_wrapper

from rlgen.data import observations as tree
from rlgen.data.playing import Policy, acting, require_same_spaces
from rlgen.data.recording import action_bounds
from rlgen.errors import InputError, problem
from rlgen.sb3.plain_pickle import own_array, plain
from rlgen.sb3.policy_inputs import PolicyInputs


class Function:
    """A function from observations to actions as a policy."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, None]:
        return self.function(observation), None


def policy_of(expert: Any) -> Policy:
    """An expert with SB3's `predict` itself, or a function from observations to actions as a policy."""
    if hasattr(expert, "predict"):
        return expert
    if callable(expert):
        return Function(expert)
    raise problem(
        "an expert with Stable-Baselines3's `predict`, or a function from observations to actions",
        f"a {type(expert).__name__}",
        "load a .zip by rlgen.sb3.load_policy",
    )


class ExpertLabels:
    """The actions of an expert in the environments of `model`, mean actions where it has a distribution.

    The expert sees what the environments return: images that Stable-Baselines3 transposes for the model reach it as
    they were before, and vectors are raw under a VecNormalize. A recurrent expert gets its own memory.

    Raises `InputError` for an expert of other spaces than the model's.
    """

    def __init__(self, expert: Any, model: BaseAlgorithm):
        env = PolicyInputs(model).raw_environment()
        self.policy, self.space = policy_of(expert), model.action_space
        wrapper: Any = unwrap_vec_wrapper(env, VecTransposeImage)
        # Names of the transposed entries of a Dict space, which the wrapper of a Box lacks.
        self.images = [] if wrapper is None else vars(wrapper).get("image_space_keys", [""])
        require_same_spaces(self.policy, env)
        normalizer = model.get_vec_normalize_env()
        self.act = acting(self.policy, env if normalizer is None else normalizer.venv)
        self.low, self.high = action_bounds(self.space)
        self.memory: Any = None

    def __call__(self, observations: Any, starts: np.ndarray) -> np.ndarray:
        """Labels [N, ...] of raw observations [N, ...], in environment scale and within the action space. `starts` [N]:
        where an episode begins.

        Raises `InputError` for labels of another shape, that are not finite, or that are no discrete actions."""
        seen = tree.entries(observations)
        moved = {name: np.moveaxis(rows, 1, -1) if name in self.images else rows for name, rows in seen.items()}
        actions, self.memory = self.act(tree.of_entries(moved), self.memory, starts, True)
        shape = (len(starts), *(self.space.shape or ()))
        if actions.size != np.prod(shape):
            raise self._wrong(f"actions of shape {list(shape)}", f"shape {list(actions.shape)}")
        labels = actions.reshape(shape)
        if isinstance(self.space, spaces.Box):
            return np.clip(labels, self.space.low, self.space.high).astype(self.space.dtype)
        flat = labels.reshape(len(starts), -1)
        if (flat != np.round(flat)).any() or (flat < self.low).any() or (flat > self.high).any():
            raise self._wrong(f"whole numbers within {self.space}", f"{flat.ravel()[:8].tolist()}")
        return labels.astype(self.space.dtype)

    def _wrong(self, expected: str, got: str) -> InputError:
        return problem(f"{expected} from the expert", got, f"fix the {type(self.policy).__name__}")

    def state_dict(self) -> dict[str, Any]:
        """The memory of a recurrent expert. Raises `InputError` for a memory that is no tuple of arrays."""
        memory = self.memory
        if memory is not None and not (
            isinstance(memory, tuple) and all(isinstance(each, np.ndarray) for each in memory)
        ):
            raise problem(
                "an expert whose memory is a tuple of arrays, to save it in a checkpoint",
                f"a {type(memory).__name__}",
                "return such a tuple from its `predict`, or None for an expert without memory",
            )
        return plain({"memory": None if memory is None else list(memory)})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        saved = state["memory"]
        self.memory = None if saved is None else tuple(own_array(each) for each in saved)
