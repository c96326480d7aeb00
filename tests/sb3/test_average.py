"""The running average of a policy's weights."""

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from torch import Tensor

from rlgen.errors import InputError
from rlgen.sb3 import PolicyAverage


@pytest.fixture
def model():
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    yield PPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=2, learning_rate=1e-2, seed=0, device="cpu")
    env.close()


class Weights(BaseCallback):
    """One bias after every round, the state before the first included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.seen.append(self.model.policy.value_net.bias.detach().clone())

    def _on_training_end(self) -> None:
        self._on_rollout_start()


@pytest.mark.parametrize("decay", [0.0, 0.25, 0.9])
def test_the_average_is_the_exponential_one_over_rounds_after_a_warm_up(model: PPO, decay: float) -> None:
    average, weights = PolicyAverage(decay), Weights()
    model.learn(64, CallbackList([average, weights]))
    expected = weights.seen[0]
    for value, at_most in zip(weights.seen[1:], (2 / 11, 3 / 12, 4 / 13, 5 / 14), strict=True):
        present = min(decay, at_most)
        expected = present * expected + (1 - present) * value
    torch.testing.assert_close(average.weights["value_net.bias"], expected)


def test_after_its_warm_up_the_average_has_the_wanted_decay(model: PPO) -> None:
    average = PolicyAverage(0.9)
    average.model = model
    weight = model.policy.value_net.bias
    for step in range(201):
        model.num_timesteps = step
        torch.nn.init.constant_(weight, float(step == 200))
        average.merge()
    assert float(average.weights["value_net.bias"]) == pytest.approx(0.1)


def test_the_weights_of_the_start_are_soon_forgotten(model: PPO) -> None:
    average = PolicyAverage(0.9)
    average.model = model
    for step in range(31):
        model.num_timesteps = step
        torch.nn.init.constant_(model.policy.value_net.bias, float(step == 0))
        average.merge()
    assert float(average.weights["value_net.bias"]) < 1e-3 < 0.9**30, "a plain average remembers 4 %"


def test_two_trainings_are_one_of_both_lengths(model: PPO) -> None:
    average, weights = PolicyAverage(0.5), Weights()
    model.learn(32, CallbackList([average]))
    once = average.weights["value_net.bias"].clone()
    model.learn(32, CallbackList([average, weights]), reset_num_timesteps=False)
    expected = once
    for value, decay in zip(weights.seen[1:], (4 / 13, 5 / 14), strict=True):  # the first ended the first training
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(average.weights["value_net.bias"], expected)


def test_a_loaded_average_goes_on_as_if_nothing_had_happened(model: PPO) -> None:
    average = PolicyAverage(0.5)
    model.learn(32, average)
    other = PolicyAverage(0.5)
    other.load_state_dict(average.state_dict(), model)
    model.learn(32, CallbackList([average, other]), reset_num_timesteps=False)
    assert all(torch.equal(other.weights[name], value) for name, value in average.weights.items())


def test_an_average_of_other_weights_is_refused(model: PPO) -> None:
    average = PolicyAverage(0.5)
    model.learn(32, average)
    state = average.state_dict()
    state["weights"]["value_net.bias"] = state["weights"]["value_net.bias"][None]
    with pytest.raises(InputError, match="averaged weights of the same names and shapes"):
        PolicyAverage(0.5).load_state_dict(state, model)


def test_averaged_weights_act_within_the_block_only(model: PPO) -> None:
    average = PolicyAverage(0.9)
    model.learn(32, average)
    present = model.policy.value_net.bias.detach().clone()
    with average.applied():
        assert torch.equal(model.policy.value_net.bias, average.weights["value_net.bias"])
        assert not torch.equal(model.policy.value_net.bias, present)
    assert torch.equal(model.policy.value_net.bias, present)


def test_an_error_within_the_block_puts_the_weights_back_too(model: PPO) -> None:
    average = PolicyAverage(0.9)
    model.learn(32, average)
    present = model.policy.value_net.bias.detach().clone()
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert torch.equal(model.policy.value_net.bias, present)


def test_adopting_keeps_the_averaged_weights(model: PPO) -> None:
    average = PolicyAverage(0.9)
    model.learn(32, average)
    average.adopt()
    assert all(torch.equal(value, average.weights[name]) for name, value in model.policy.named_parameters())


def test_before_the_first_round_nothing_changes(model: PPO) -> None:
    average, present = PolicyAverage(0.9), model.policy.value_net.bias.detach().clone()
    average.adopt()
    with average.applied():
        assert torch.equal(model.policy.value_net.bias, present)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_refused(decay: float) -> None:
    with pytest.raises(InputError, match="decay of at least 0 and below 1"):
        PolicyAverage(decay)
