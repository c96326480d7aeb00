"""The falling learning rate of a discriminator."""

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen.errors import InputError
from rlgen.sb3.adaptive_rate import Anneal


class Rates(BaseCallback):
    """The optimizer's rate at the end of every rollout."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self.optimizer, self.seen = optimizer, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("final", "expected"), [(0.1, [0.775, 0.55, 0.325, 0.1]), (1.0, [1.0] * 4), (0.0, [0.75, 0.5, 0.25, 0.0])]
)
def test_the_rate_falls_in_proportion_to_what_remains(final: float, expected: list[float]) -> None:
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 5.0)
    rates = Rates(optimizer)
    model.learn(64, CallbackList([Anneal(optimizer, 1.0, final), rates]))
    env.close()
    assert rates.seen == pytest.approx(expected)


def test_a_second_training_begins_where_it_stands_and_never_ascends() -> None:
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu")
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 5.0)
    rates = Rates(optimizer)
    for _ in range(2):
        model.learn(20, CallbackList([Anneal(optimizer, 1.0, 0.0), rates]), reset_num_timesteps=False)
    env.close()
    assert rates.seen == pytest.approx([0.2, 0.0, 1 - 48 / 52, 0.0])


@pytest.mark.parametrize("final", [-0.1, 1.1])
def test_a_share_beyond_its_bounds_is_refused(final: float) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(InputError, match="final share between 0 and 1"):
        Anneal(optimizer, 1.0, final)
