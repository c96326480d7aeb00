"""Stops a training when a number is no longer finite, before the number is saved or learned from."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from torch import Tensor

from rlgen.errors import InputError, NotFinite

ROUNDS_PER_LOOK = 32
"""Rounds of an off-policy model between two checks of its weights and moments; losses are checked every round."""


def not_finite(what: str, step: int) -> NotFinite:
    """The error for NaN or infinity in `what` at that environment step."""
    return NotFinite(
        f"expected finite numbers for {what} at environment step {step:,}; got NaN or infinity; "
        "look for extreme rewards or observations, or lower the learning rate"
    )


def require_finite(values: Mapping[str, Tensor | np.ndarray], step: int) -> None:
    """Raises `NotFinite`, naming the environment step and the first of `values` with NaN or infinity."""
    for name, value in values.items():
        finite = value.isfinite() if isinstance(value, Tensor) else np.isfinite(value)
        if not finite.all():
            raise not_finite(name, step)


def require_finite_state(state: Any, step: int) -> None:
    """Raises `NotFinite` unless every tensor of real numbers in the nested `state` is finite; names its path."""
    named = list(_tensors(state, ""))
    if not named:
        return
    finite = torch.stack([value.isfinite().all().cpu() for _, value in named]).tolist()
    for (place, _), fine in zip(named, finite, strict=True):
        if not fine:
            raise not_finite(place, step)


class RequireFinite(BaseCallback):
    """Stops an off-policy model: raises `NotFinite` at the step with an observation or reward that must not enter the
    replay buffer, after the round whose losses are not finite, and soon after its weights or moments are not."""

    model: OffPolicyAlgorithm

    def _on_training_start(self) -> None:
        self._rounds = 0
        if isinstance(self.model._last_obs, np.ndarray):
            require_finite({"the first observations": self.model._last_obs}, self.model.num_timesteps)

    def _on_step(self) -> bool:
        with np.errstate(over="ignore"):
            rewards = np.asarray(self.locals["rewards"]).astype(np.float32)  # as the replay buffer stores them
        ends = [info["terminal_observation"] for info in self.locals["infos"] if "terminal_observation" in info]
        seen = {"the observations": self.locals["new_obs"], "the last observation of an episode": ends}
        arrays = {name: np.asarray(value) for name, value in seen.items() if not isinstance(value, dict) and len(value)}
        numbers = {name: array for name, array in arrays.items() if np.issubdtype(array.dtype, np.number)}
        require_finite({**numbers, "the rewards": rewards}, self.num_timesteps)
        return True

    def _on_rollout_start(self) -> None:
        logged = self.model.logger.name_to_value.items()
        losses = {name: np.asarray(value) for name, value in logged if name.startswith("train/") and "loss" in name}
        require_finite(losses, self.model.num_timesteps)
        self._rounds += 1
        if self._rounds % ROUNDS_PER_LOOK == 0:
            require_finite_model(self.model)


@contextlib.contextmanager
def finite_weights(model: BaseAlgorithm) -> Iterator[None]:
    """Within the block, turns a `ValueError` that non-finite weights cause, such as one from a torch distribution, into
    `NotFinite`."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        try:
            require_finite_model(model)
        except NotFinite as cause:
            raise cause from error
        raise


def require_finite_model(model: BaseAlgorithm) -> None:
    """Raises `NotFinite` unless the weights and the optimizer state of an SB3 model are finite."""
    modules, tensors = model._get_torch_save_params()
    parts = {name: recursive_getattr(model, name) for name in (*modules, *tensors)}
    state = {name: part if isinstance(part, Tensor) else part.state_dict() for name, part in parts.items()}
    require_finite_state(state, model.num_timesteps)


def _tensors(tree: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        if tree.is_floating_point() and tree.numel():
            yield place, tree
    elif isinstance(tree, dict | list | tuple):
        entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for name, value in entries:
            yield from _tensors(value, f"{place}/{name}" if place else str(name))
