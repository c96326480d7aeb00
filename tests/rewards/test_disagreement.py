"""An ensemble's disagreement: against its members one by one, and in a world with noise."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rlgen.data import Transitions
from rlgen.rewards import (
    EnsembleDisagreement,
    EnsembleDisagreementConfig,
    PredictionError,
    PredictionErrorConfig,
    TaskShape,
)
from rlgen.rewards.novelty import NormalisedTransitions

SETTINGS = {"updates_per_rollout": 60, "batch_size": 64, "learning_rate": 1e-3}


@pytest.fixture
def source() -> EnsembleDisagreement:
    torch.manual_seed(0)
    shape = TaskShape(observation_size=2, action_size=2, n_envs=4)
    return EnsembleDisagreement(shape, EnsembleDisagreementConfig(gamma=0.9, members=3, **SETTINGS))


def predictions(source: EnsembleDisagreement, inputs: torch.Tensor) -> np.ndarray:
    """Of the members one by one: [E, B, O]."""
    first, last = (layer for layer in source.networks.models.layers if hasattr(layer, "weight"))
    each = []
    for member in range(3):
        hidden = F.linear(inputs, first.weight[member].T, first.bias[member, 0]).relu()
        each.append(F.linear(hidden, last.weight[member].T, last.bias[member, 0]).detach().numpy())
    return np.stack(each)


def test_the_bonus_is_the_variance_of_members_that_run_one_by_one(source: EnsembleDisagreement, moves) -> None:
    source.update(moves(64))
    batch = moves(64, place=0.3, seed=1)
    inputs, _ = source.view(batch)
    np.testing.assert_allclose(source.novelty(batch), predictions(source, inputs).var(0).mean(-1), rtol=1e-3)


def test_the_reward_is_the_variance_in_units_of_the_spread_of_its_discounted_sums(
    source: EnsembleDisagreement, moves
) -> None:
    """Two rollouts of 4 environments; the third batch is paid with statistics as they stand."""
    statistics, sums, running = NormalisedTransitions(source.view.shape), [], np.zeros(4)

    def variances(batch: Transitions) -> np.ndarray:
        return predictions(source, statistics(batch)[0]).var(0).mean(-1)

    for seed in range(2):
        batch = moves(64, seed=seed)
        statistics.merge(batch)
        for paid in variances(batch).reshape(16, 4):  # time-major
            running = 0.9 * running + paid
            sums.append(running)
        source.update(batch)
    another = moves(32, seed=2)
    np.testing.assert_allclose(source.reward(another), variances(another) / np.std(sums), rtol=1e-3)


def test_what_came_next_does_not_count(source: EnsembleDisagreement, moves) -> None:
    source.update(moves(64))
    batch = moves(64, seed=1)
    other = Transitions(batch.observations, batch.actions, batch.next_observations + 1, *batch.tensors()[3:])
    assert torch.equal(source.reward(batch), source.reward(other))


def test_each_member_learns_from_rows_of_its_own_out_of_the_rollout(source: EnsembleDisagreement, moves) -> None:
    batch = moves(64)
    source.view.merge(batch)
    inputs, _ = source.view(batch)
    rollout = {tuple(row) for row in inputs.tolist()}
    minibatches = list(source._minibatches(batch))
    assert len(minibatches) == 60
    drawn = minibatches[0][0].unflatten(0, (3, 64))
    assert all(tuple(row) in rollout for row in drawn.flatten(0, 1).tolist())
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


def test_nobody_disagrees_about_noise_that_nobody_can_predict(noisy) -> None:
    """The error stays at the variance of the noise, 1; the models agree on its mean."""
    torch.manual_seed(0)
    shape = TaskShape(observation_size=2, action_size=1)
    disagreement = EnsembleDisagreement(shape, EnsembleDisagreementConfig(**SETTINGS))
    error = PredictionError(shape, PredictionErrorConfig(**SETTINGS))
    for source in (disagreement, error):
        for seed in range(6):
            source.update(noisy(512, seed=seed))
    batch = noisy(512, seed=9)
    assert float(error.novelty(batch).mean()) > 0.9
    assert float(disagreement.novelty(batch).mean()) < 0.01
