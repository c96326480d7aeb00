"""The statistics inside a policy move between rollouts, never while it learns from one."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from rlgen.sb3 import FastPPO, normalized_policy
from rlgen.sb3.observation_normalization import ObservationStatistics


class Rollouts(BaseCallback):
    """The observations of every rollout, and how far its log-probabilities are from those of the policy at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.observations: list[np.ndarray] = []
        self.apart: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        self.observations.append(buffer.observations.reshape(-1, 3).copy())
        with torch.no_grad():
            rows = torch.as_tensor(self.observations[-1])
            _, now, _ = self.model.policy.evaluate_actions(rows, torch.as_tensor(buffer.actions.reshape(-1, 1)))
        self.apart.append(float(np.abs(now.numpy() - buffer.log_probs.ravel()).max()))


def learn(kind: type[PPO], policy_kwargs: dict) -> tuple[PPO, Rollouts]:
    seen = Rollouts()
    model = kind(
        "MlpPolicy", make_vec_env("Pendulum-v1", 2, seed=0), n_steps=16, batch_size=32, n_epochs=2, seed=0,
        device="cpu", policy_kwargs=policy_kwargs,
    )  # fmt: skip
    model.learn(128, [ObservationStatistics(), seen])
    return model, seen


def test_a_rollout_joins_the_statistics_after_the_policy_has_learned_from_it() -> None:
    for kind in (PPO, FastPPO):
        model, seen = learn(kind, normalized_policy([8]))
        normalizer = model.policy.features_extractor.normaliser
        learned_from = np.concatenate(seen.observations)
        assert len(seen.observations) == 4
        assert float(normalizer.count) == len(learned_from)
        np.testing.assert_allclose(normalizer.mean.numpy(), learned_from.mean(0), atol=1e-5)
        np.testing.assert_allclose(normalizer.var.numpy(), learned_from.var(0), rtol=1e-4)


def test_every_rollout_joins_once_however_often_training_is_called() -> None:
    statistics, seen = ObservationStatistics(), Rollouts()
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    model = FastPPO(
        "MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu",
        policy_kwargs=normalized_policy([8]),
    )  # fmt: skip
    for _ in range(2):
        model.learn(64, [statistics, seen], reset_num_timesteps=False)
    assert float(model.policy.features_extractor.normaliser.count) == len(np.concatenate(seen.observations)) == 128


def test_old_and_new_log_probabilities_are_of_the_same_inputs() -> None:
    _, seen = learn(FastPPO, normalized_policy([8]))
    assert max(seen.apart) < 1e-4


@pytest.mark.parametrize(
    ("algorithm", "settings"), [(PPO, {"n_steps": 16, "batch_size": 32}), (SAC, {"learning_starts": 4})]
)
def test_models_without_a_normalizer_stay_as_they_are(algorithm: type, settings: dict) -> None:
    weights = []
    for callback in (ObservationStatistics(), None):
        env = make_vec_env("Pendulum-v1", 2, seed=0)
        model = algorithm("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [8]}, **settings)
        weights.append(model.learn(64, callback).policy.state_dict())
    for name, value in weights[1].items():
        assert torch.equal(weights[0][name], value), name
