"""The error of a model of the dynamics: in which unit it is paid and what the model remembers."""

import numpy as np
import pytest
import torch
from torch import nn

from rlgen.data import Transitions
from rlgen.nn.normalizer import FLOOR
from rlgen.rewards import PredictionError, PredictionErrorConfig, TaskShape

PLANE = TaskShape(observation_size=2, action_size=2)


def fresh(shape: TaskShape = PLANE, **settings) -> PredictionError:
    torch.manual_seed(0)
    return PredictionError(shape, PredictionErrorConfig(updates_per_rollout=60, batch_size=64, **settings))


def errors_by_hand(source: PredictionError, seen: list[Transitions], batch: Transitions) -> np.ndarray:
    """The model and its normalization in NumPy."""

    def columns(batches: list[Transitions]) -> tuple[np.ndarray, np.ndarray]:
        inputs = [np.concatenate([each.observations, each.actions], -1) for each in batches]
        return np.concatenate(inputs), np.concatenate([each.next_observations for each in batches])

    inputs, targets = (
        (rows - past.mean(0)) / (past.std(0) + FLOOR * np.sort(past.std(0))[(past.shape[1] - 1) // 2])
        for rows, past in zip(columns([batch]), columns(seen), strict=True)
    )
    linears = [layer for layer in source.networks.model if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(linears):
        inputs = inputs @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        inputs = inputs if number == len(linears) - 1 else np.maximum(inputs, 0)
    return np.square(inputs - targets).sum(-1)


def test_the_reward_is_the_squared_error_as_a_share_of_the_largest_so_far(moves) -> None:
    source, seen, largest = fresh(), [], 0.0
    for seed in range(3):
        seen.append(moves(64, seed=seed))
        errors = errors_by_hand(source, seen, seen[-1])
        largest = max(largest, errors.max())
        source.update(seen[-1])
        np.testing.assert_allclose(source.reward(seen[-1]), errors / largest, rtol=1e-3)
    another = moves(64, place=0.3, seed=9)
    np.testing.assert_allclose(source.reward(another), errors_by_hand(source, seen, another) / largest, rtol=1e-3)


def test_the_most_surprising_transition_of_all_is_paid_one(moves) -> None:
    source, batch = fresh(), moves(64)
    source.update(batch)
    assert float(source.reward(batch).max()) == pytest.approx(1)


def test_the_model_does_not_forget_what_the_pool_remembers(moves) -> None:
    errors = []
    for pool_size in (100_000, 256):
        source = fresh(pool_size=pool_size)
        for seed in range(2):
            source.update(moves(256, seed=seed))
        for seed in range(6):
            source.update(moves(256, place=1.0, seed=seed))
        errors.append(float(source.novelty(moves(256, seed=9)).median()))
    assert errors[0] < errors[1] / 10


def test_kinds_of_actions_are_told_apart(moves) -> None:
    """A model that saw the kind as a size could predict as well: kinds push by 0, 1 and 0, here."""
    source = fresh(TaskShape(observation_size=2, action_size=1, n_actions=3))
    for seed in range(6):
        batch = moves(256, seed=seed, kinds=torch.arange(3.0))
        pushed = batch.observations + (batch.actions == 1)
        batch = Transitions(batch.observations, batch.actions, pushed, batch.terminated, batch.truncated)
        source.update(batch)
    assert float(source.novelty(batch).mean()) < 0.02
