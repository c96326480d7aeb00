"""Running average of a policy's weights over rounds (Polyak & Juditsky 1992): steadier than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen.equations.moving_average import warmed_up_decay
from rlgen.errors import problem


class PolicyAverage(BaseCallback):
    """average ← d · average + (1 - d) · weights, after every round. Decay 0 follows the weights themselves.

    d is the decay, warmed up (`rlgen.equations.moving_average`).
    """

    model: OnPolicyAlgorithm

    def __init__(self, decay: float):
        super().__init__()
        if not 0 <= decay < 1:
            raise problem("a decay of at least 0 and below 1", str(decay), "use e.g. 0.95, or 0 for no average")
        self.decay = decay
        self.weights: dict[str, Tensor] = {}
        self.merged_at, self.merges = -1, 0
        self.set_aside: dict[str, Tensor] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.merge()

    def _on_training_end(self) -> None:
        self.merge()

    @torch.no_grad()
    def merge(self) -> None:
        """Take the model's present weights into the average, once per round also where a training stops and goes on."""
        if self.merged_at == self.model.num_timesteps:
            return
        self.merged_at = self.model.num_timesteps
        decay = warmed_up_decay(self.decay, self.merges)
        self.merges += 1
        present = dict(self.model.policy.named_parameters())
        if not self.weights or decay == 0:
            self.weights = {name: value.detach().clone() for name, value in present.items()}
            return
        for name, value in present.items():
            self.weights[name].lerp_(value, 1 - decay)

    @contextmanager
    def applied(self, model: OnPolicyAlgorithm) -> Iterator[None]:
        """Within the block, `model` acts and is saved with the averaged weights."""
        present = {name: value.detach().clone() for name, value in model.policy.named_parameters()}
        self._load(model, self.weights or present)
        try:
            yield
        finally:
            self._load(model, present)

    def adopt(self, model: OnPolicyAlgorithm) -> None:
        """Give `model` the averaged weights until `release`."""
        if self.weights and not self.set_aside:
            self.set_aside = {name: value.detach().clone() for name, value in model.policy.named_parameters()}
            self._load(model, self.weights)

    def release(self, model: OnPolicyAlgorithm) -> bool:
        """Give `model` back the weights it had before `adopt`, to learn on. Returns whether there were any."""
        if not self.set_aside:
            return False
        self._load(model, self.set_aside)
        self.set_aside = {}
        return True

    @torch.no_grad()
    def _load(self, model: OnPolicyAlgorithm, weights: dict[str, Tensor]) -> None:
        for name, value in model.policy.named_parameters():
            value.copy_(weights[name])

    def state_dict(self) -> dict[str, Any]:
        return {"weights": dict(self.weights), "merged_at": self.merged_at, "merges": self.merges}

    def load_state_dict(self, state: dict[str, Any], model: OnPolicyAlgorithm) -> None:
        """The inverse of `state_dict`. Raises `InputError` for weights of other shapes than the model's."""
        self.weights = {name: value.clone() for name, value in state["weights"].items()}
        shapes = {name: value.shape for name, value in self.weights.items()}
        if shapes and shapes != {name: value.shape for name, value in model.policy.named_parameters()}:
            came = "an average of other weights"
            raise problem("averaged weights of the policy's names and shapes", came, "start the run again")
        self.merged_at, self.merges, self.set_aside = state["merged_at"], state["merges"], {}
