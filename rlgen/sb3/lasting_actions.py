"""Off-policy models whose action noise lasts: correlated in time, or coloured."""

from functools import cache
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.errors import problem
from rlgen.sb3.exploration_noise import WHITE, ExplorationNoise, NoiseSequence

BLOCK = 1000
"""Steps of a sequence of coloured noise; a longer episode starts another one."""


class LastingActions(OffPolicyAlgorithm):
    """Mixin for SAC, TQC, CrossQ and TD3: acts by the same distributions, but with noise from `exploration_noise`
    instead of independent noise. Eberhard et al. 2023 (2210.01014) find pink noise the best default of such learners.

    Gradient steps are unchanged: an off-policy learner does not need to know how its data were drawn.
    """

    exploration_noise: ExplorationNoise = WHITE
    noise_std: float = 0.1
    """Standard deviation of the noise of a deterministic actor (TD3), as a share of half of each action's range."""
    _sequence: NoiseSequence | None = None
    _starts: torch.Tensor

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "exploration_noise", "noise_std", "_sequence", "_starts"]

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.num_timesteps < learning_starts:
            return super()._sample_action(learning_starts, None, n_envs)
        sequence = self._noise()
        noise = sequence.draw(self._starts).noise
        self._starts = torch.zeros_like(self._starts)
        parts: Any = self
        actor, policy = parts.actor, parts.policy
        policy.set_training_mode(False)
        observations, _ = policy.obs_to_tensor(self._last_obs)
        with torch.no_grad():
            if hasattr(actor, "get_action_dist_params"):
                mean, log_std, _ = actor.get_action_dist_params(observations)
                scaled = torch.tanh(mean + log_std.exp() * noise.to(mean))
            else:
                mean = actor(observations)
                scaled = (mean + self.noise_std * noise.to(mean)).clamp(-1, 1)
        found = scaled.cpu().numpy().reshape(-1, *self.action_space.shape)  # type: ignore[misc]
        return policy.unscale_action(found), found

    def _noise(self) -> NoiseSequence:
        if self._sequence is None:
            size = int(np.prod(self.action_space.shape))  # type: ignore[arg-type]
            self._sequence = self.exploration_noise.begin(BLOCK, self.n_envs, size, "cpu")
            self._starts = torch.ones(self.n_envs, dtype=torch.bool)
        return self._sequence

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: np.ndarray,
        new_obs: Any,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        if self._sequence is not None:
            self._starts |= torch.from_numpy(np.asarray(dones, bool))

    def noise_state(self) -> dict[str, Any]:
        """The state of the noise: where its sequences are."""
        if self._sequence is None:
            return {}
        return {"sequence": self._sequence.state_dict(), "starts": self._starts.clone()}

    def load_noise_state(self, state: dict[str, Any]) -> None:
        """The inverse of `noise_state`, for a model with the same noise."""
        self._sequence = None
        if state:
            self._noise().load_state_dict(state["sequence"])
            starts = torch.as_tensor(state["starts"])
            if starts.shape != self._starts.shape:
                got = f"one of {len(starts)}"
                raise problem(f"noise of {self.n_envs} environments", got, "load the state of the same model")
            self._starts = starts.bool()


@cache
def with_lasting_actions(kind: type[Any]) -> type[Any]:
    """The class `kind` of Stable-Baselines3 with `LastingActions`; saved files open with `kind.load`."""
    return type(kind.__name__, (LastingActions, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
