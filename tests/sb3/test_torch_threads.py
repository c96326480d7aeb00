"""Where torch may use several threads."""

import contextlib

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen.sb3.fast_ppo import ActOnOneThread
from rlgen.system.device import torch_threads


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Threads(BaseCallback):
    """Torch's threads after every step and at the end of every rollout, where learning begins."""

    def __init__(self) -> None:
        super().__init__()
        self.stepped, self.learning = [], []

    def _on_step(self) -> bool:
        self.stepped.append(torch.get_num_threads())
        return True

    def _on_rollout_end(self) -> None:
        self.learning.append(torch.get_num_threads())


def test_the_model_acts_on_one_thread_and_learns_on_all() -> None:
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    seen = Threads()
    PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, device="cpu").learn(
        32, CallbackList([ActOnOneThread(), seen])
    )
    env.close()
    assert seen.stepped == 2 * (7 * [1] + [3]), "after the last step nothing but values is left to compute"
    assert (seen.learning, torch.get_num_threads()) == ([3, 3], 3)


def test_the_threads_come_back_after_an_error() -> None:
    inside = []
    with contextlib.suppress(ZeroDivisionError), torch_threads(1):
        inside.append(torch.get_num_threads())
        raise ZeroDivisionError
    assert inside == [1]
    assert torch.get_num_threads() == 3
