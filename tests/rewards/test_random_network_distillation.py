"""Random network distillation: what it looks at and in which unit it pays."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlgen.data import Transitions
from rlgen.rewards import RandomNetworkDistillation, RandomNetworkDistillationConfig, TaskShape

SHAPE = TaskShape(observation_size=2, action_size=2, n_envs=4)
CONFIG = RandomNetworkDistillationConfig(updates_per_rollout=20, batch_size=64, gamma=0.9)


@pytest.fixture
def source() -> RandomNetworkDistillation:
    torch.manual_seed(0)
    return RandomNetworkDistillation(SHAPE, CONFIG)


def by_hand(network: nn.Module, rows: np.ndarray) -> np.ndarray:
    """A perceptron with leaky ReLU, in NumPy."""
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(linears):
        rows = rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        rows = rows if number == len(linears) - 1 else np.where(rows > 0, rows, 0.01 * rows)
    return rows


def whitened(seen: list[Transitions], batch: Transitions) -> np.ndarray:
    arrivals = np.concatenate([each.next_observations.numpy() for each in seen]).astype(np.float64)
    return np.clip((batch.next_observations.numpy() - arrivals.mean(0)) / (arrivals.std(0) + 1e-4), -5, 5)


def test_observations_are_whitened_by_all_that_came_and_clipped(source: RandomNetworkDistillation, moves) -> None:
    seen = [moves(64), moves(128, place=0.3, seed=1)]
    for batch in seen:
        source.update(batch)
    far = moves(64, place=2.0, seed=2)
    (rows,) = source.view(far)
    np.testing.assert_allclose(rows, whitened(seen, far), atol=1e-5)
    assert float(rows.max()) == 5.0


def test_the_reward_is_the_error_in_units_of_the_spread_of_its_discounted_sums(
    source: RandomNetworkDistillation, moves
) -> None:
    """Two rollouts of 4 environments in NumPy; the third batch is paid with statistics as they stand."""
    seen: list[Transitions] = []
    sums, running = [], np.zeros(4)
    target, predictor = source.networks.target, source.networks.predictor

    def error(batch: Transitions) -> np.ndarray:
        rows = whitened(seen, batch)
        return np.square(by_hand(predictor, rows) - by_hand(target, rows)).mean(-1)

    for seed in range(2):
        seen.append(moves(64, seed=seed))
        for errors in error(seen[-1]).reshape(16, 4):  # time-major
            running = 0.9 * running + errors
            sums.append(running)
        source.update(seen[-1])
    another = moves(32, place=0.2, seed=2)
    np.testing.assert_allclose(source.reward(another), error(another) / np.std(sums), rtol=1e-3)


def test_only_where_a_step_leads_counts(source: RandomNetworkDistillation, moves) -> None:
    source.update(moves(64))
    batch = moves(64, seed=1)
    elsewhere = Transitions(batch.observations + 1, batch.actions - 1, *batch.tensors()[2:])
    assert torch.equal(source.reward(batch), source.reward(elsewhere))


def test_the_target_never_learns(source: RandomNetworkDistillation, moves) -> None:
    def weights(network: nn.Module) -> Tensor:
        return nn.utils.parameters_to_vector(network.parameters()).detach().clone()

    target, predictor = weights(source.networks.target), weights(source.networks.predictor)
    source.update(moves(64))
    assert torch.equal(weights(source.networks.target), target)
    assert not torch.equal(weights(source.networks.predictor), predictor)


def test_sums_of_bonuses_run_on_over_the_ends_of_episodes(moves) -> None:
    batch, paid = moves(64), []
    ended = Transitions(*batch.tensors()[:3], torch.ones(64, dtype=torch.bool), batch.truncated)
    for each in (batch, ended):
        torch.manual_seed(0)
        source = RandomNetworkDistillation(SHAPE, CONFIG)
        source.update(each)
        paid.append(source.reward(each))
    assert torch.equal(*paid)
