"""Every kind of curiosity pays a Stable-Baselines3 model."""

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen import agents
from rlgen.agents.curiosities import CURIOSITIES


class Rewards(BaseCallback):
    """What the learner is paid in every rollout, [T, N] each."""

    def __init__(self) -> None:
        super().__init__()
        self.paid: list[np.ndarray] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.paid.append(self.model.rollout_buffer.rewards.copy())


def test_each_is_found_by_its_name_and_in_the_package() -> None:
    assert sorted(CURIOSITIES) == [
        "counts",
        "disagreement",
        "e3b",
        "first_visits",
        "icm",
        "l2",
        "lbs",
        "pseudo_counts",
        "rnd",
        "vime",
        "vime_2016",
    ]
    assert all(getattr(agents, kind.__name__) is kind for kind in CURIOSITIES.values())


IN_MEDIANS = {name for name, kind in CURIOSITIES.items() if kind.config_type().own_unit == "medians"}
"""Those that have no unit before the second rollout."""


@pytest.mark.parametrize("name", sorted(set(CURIOSITIES) - IN_MEDIANS))
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_it_pays_kinds_and_numbers_of_actions_from_the_first_rollout(name: str, env_id: str) -> None:
    paid = []
    for eta in (0.0, 0.5):
        env, seen = make_vec_env(env_id, 2, seed=0), Rewards()
        model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
        model.learn(64, CallbackList([CURIOSITIES[name](eta=eta), seen]))
        env.close()
        paid.append(seen.paid[0])
    more = paid[1] > paid[0]
    assert (paid[1] >= paid[0]).all()
    assert more.all() or (name == "first_visits" and more.any())  # which rewards no later visits of an episode
