"""What a policy sees of raw observations: the shape of its space, images with channels first, and VecNormalize."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.spaces import with_entries
from rlgen.sb3.steps import normalizer_of


class PolicyInputs:
    """Maps raw observations, as demonstrations hold them, to what the policy of `model` sees in its environment.

    - Vectors get the shape of the observation space, e.g. windows.
    - Images with channels last become images with channels first if the model sees those.
    - Under a VecNormalize, observations are normalized with its statistics.
    """

    def __init__(self, model: BaseAlgorithm):
        self.model, self.space = model, model.observation_space
        self.normalizer = normalizer_of(model)

    def __call__(self, observations: Any) -> Any:
        """The policy's inputs for tensors of R raw observations."""
        return self._each(self._entry, observations)

    def shaped(self, observations: Any) -> Any:
        """The same, without the normalization of a VecNormalize: as a replay buffer stores them."""
        return self._each(self._shaped, observations)

    def _each(self, function: Callable[[Any, str | None], Tensor], observations: Any) -> Any:
        if isinstance(self.space, spaces.Dict):
            return {name: function(observations[name], name) for name in self.space.spaces}
        return function(observations, None)

    def raw_environment(self) -> Any:
        """What has the spaces of raw observations: the environment below a VecNormalize, or the model itself without
        an environment."""
        return self.model.get_env() or self.model if self.normalizer is None else self.normalizer.venv

    def is_floating(self, name: str) -> bool:
        """Whether an entry of the raw observations is a Box of floats."""
        space = with_entries(self.raw_environment().observation_space)[name]
        return isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)

    def fit(self, observations: Any) -> None:
        """Merges demonstrated observations (arrays) into the statistics of a VecNormalize that is training."""
        normalizer = self.normalizer
        if normalizer is None or not (normalizer.training and normalizer.norm_obs):
            return
        for name, rows in tree.entries(observations).items():
            if (statistics := self._statistics(name or None)) is not None:
                for some in tree.chunks(rows):
                    statistics.update(np.asarray(some).reshape(len(some), *statistics.mean.shape))

    def statistics(self) -> Any:
        """A copy of the VecNormalize's statistics; None without one."""
        return None if self.normalizer is None else copy.deepcopy(self.normalizer.obs_rms)

    def restore(self, statistics: Any) -> None:
        """The inverse of `statistics`."""
        if self.normalizer is not None:
            self.normalizer.obs_rms = statistics

    def _entry(self, rows: Any, name: str | None) -> Tensor:
        rows, statistics = self._shaped(rows, name), self._statistics(name)
        return rows if statistics is None else self._normalized(rows, statistics)

    def _shaped(self, rows: Any, name: str | None) -> Tensor:
        space = self.space if name is None else self.space[name]  # type: ignore[index]
        shape = tuple(space.shape or ())
        rows = rows[:] if not isinstance(rows, Tensor) else rows
        if rows.dtype == torch.uint8 and tuple(rows.shape[1:]) != shape and rows.ndim == 4:
            rows = rows.permute(0, 3, 1, 2)
        return rows.reshape(-1, *shape)

    def _statistics(self, name: str | None) -> Any:
        """Statistics of an entry that the VecNormalize normalizes."""
        if self.normalizer is None or not self.normalizer.norm_obs:
            return None
        if name is None:
            return self.normalizer.obs_rms
        return self.normalizer.obs_rms[name] if name in (self.normalizer.norm_obs_keys or ()) else None

    def _normalized(self, rows: Tensor, statistics: Any) -> Tensor:
        """As SB3's `VecNormalize.normalize_obs`, in the same precision."""
        assert self.normalizer is not None
        scale = np.sqrt(statistics.var + self.normalizer.epsilon)
        mean, scale = (torch.as_tensor(each, device=rows.device) for each in (statistics.mean, scale))
        limit = self.normalizer.clip_obs
        return ((rows - mean) / scale).clamp(-limit, limit).float()
