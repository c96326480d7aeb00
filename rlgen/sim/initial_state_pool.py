"""Precomputed initial states, so that device environments reset without the host."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgen.sim.model import begin
from rlgen.sim.reference_states import ReferenceStates
from rlgen.sim.task import Task
from rlgen.system.pool import Pool, usable_cpus

LEAST_STARTS, LEAST_PER_ENV = 4096, 4


class InitialStatePool:
    """K initial states for each of N environments: those of Gymnasium's environment with the same seed.

    After K episodes an environment uses its first initial state again. K is at least 4, and N·K at least 4096.

    Args:
        task: the definition of the initial states.
        model: the model of C MuJoCo, which computes them.
        names: MuJoCo's names of the arrays of an initial state.
        n_envs: N.
        device: device of the returned tensors.
    """

    def __init__(
        self, task: Task, model: mujoco.MjModel, names: Sequence[str], n_envs: int, device: torch.device
    ) -> None:
        self.task, self.model, self.names, self.device = task, model, tuple(names), device
        self.per_env = max(LEAST_PER_ENV, -(-LEAST_STARTS // n_envs))
        """K, initial states per environment."""
        self.rngs = [np.random.default_rng() for _ in range(n_envs)]
        self.references: ReferenceStates | None = None
        """Demonstrated states to start from, in addition to the task's own, from the next `draw` on."""
        self._env_indices = torch.arange(n_envs, device=device)
        self._drawn_from: list[Any] = []
        self._rows: dict[str, Tensor] = {}

    def draw(self, seeds: Sequence[int | None]) -> None:
        """Draw new initial states for all environments. Where a seed is None the generator continues."""
        for i, seed in enumerate(seeds):
            if seed is not None:
                self.rngs[i] = np.random.default_rng(seed)
        self._drawn_from = [rng.bit_generator.state for rng in self.rngs]
        self._fill()

    def rows(self, episodes: Tensor) -> dict[str, Tensor]:
        """The initial state of episode `episodes` [N], from 0, of each environment: name → [N, …] float32."""
        index = self._env_indices * self.per_env + episodes % self.per_env
        return {name: rows[index] for name, rows in self._rows.items()}

    def state(self) -> list[Any]:
        """Generator states as JSON values, from which `load_state` computes the same initial states."""
        return self._drawn_from

    def load_state(self, state: list[Any]) -> None:
        self._drawn_from = state
        for rng, generator in zip(self.rngs, state, strict=True):
            rng.bit_generator.state = generator
        self._fill()

    def _fill(self) -> None:
        n, k = len(self.rngs), self.per_env
        probe = mujoco.MjData(self.model)
        rows = {name: np.zeros((n, k, *np.shape(getattr(probe, name))), np.float32) for name in self.names}

        def of_env(i: int) -> None:
            data = mujoco.MjData(self.model)
            for number in range(k):
                begin(self.task, self.model, data, self.rngs[i], self.references)
                for name, array in rows.items():
                    array[i, number] = getattr(data, name)

        pool = Pool(min(usable_cpus(), n))
        try:
            pool.run(of_env, range(n))
        finally:
            pool.close()
        self._rows = {name: torch.from_numpy(array).flatten(0, 1).to(self.device) for name, array in rows.items()}
