"""The intrinsic curiosity module: its loss and bonus by hand, and what its features leave out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from rlgen.data import Transitions
from rlgen.nn.normalizer import FLOOR
from rlgen.rewards import (
    IntrinsicCuriosity,
    IntrinsicCuriosityConfig,
    PredictionError,
    PredictionErrorConfig,
    TaskShape,
)

CONFIG = IntrinsicCuriosityConfig(updates_per_rollout=60, batch_size=64)
NUMBERS = TaskShape(observation_size=2, action_size=2)
KINDS = TaskShape(observation_size=2, action_size=1, n_actions=3)
PUSHED = TaskShape(observation_size=2, action_size=1)


def fresh(shape: TaskShape) -> IntrinsicCuriosity:
    torch.manual_seed(0)
    return IntrinsicCuriosity(shape, CONFIG)


@torch.no_grad()
def parts(source: IntrinsicCuriosity, batch: Transitions) -> tuple[np.ndarray, ...]:
    """Features of s', their prediction and what the inverse model says of the action, each network called by itself."""
    networks, (before, actions, after) = source.networks, source.view(batch)
    start, end = networks.encoder(before), networks.encoder(after)
    predicted = networks.ahead(torch.cat([start, actions], -1))
    return end.numpy(), predicted.numpy(), networks.inverse(torch.cat([start, end], -1)).numpy()


def test_the_bonus_is_half_the_squared_error_in_features_as_it_is(moves) -> None:
    source = fresh(NUMBERS)
    source.update(moves(64))
    batch = moves(64, seed=1)
    features, predicted, _ = parts(source, batch)
    np.testing.assert_allclose(source.reward(batch), np.square(features - predicted).sum(-1) / 2, rtol=1e-4)


@pytest.mark.parametrize("shape", [NUMBERS, KINDS], ids=["numbers", "kinds"])
def test_the_loss_is_four_parts_inverse_and_one_part_forward(moves, shape: TaskShape) -> None:
    source = fresh(shape)
    batch = moves(64, kinds=None if shape.n_actions is None else torch.arange(3.0))
    source.view.merge(batch)
    features, predicted, inverse = parts(source, batch)
    if shape.n_actions is None:
        numbers = batch.actions.numpy()
        std = numbers.std(0)
        normalized = (numbers - numbers.mean(0)) / (std + FLOOR * np.sort(std)[(len(std) - 1) // 2])
        inverse_loss = np.square(inverse - normalized).sum(-1).mean() / 2
    else:
        chosen = inverse[np.arange(64), batch.actions.flatten().int()]
        inverse_loss = (np.log(np.exp(inverse).sum(-1)) - chosen).mean()
    forward_loss = np.square(features - predicted).sum(-1).mean() / 2
    loss = source.networks.loss(*source.view(batch)).item()
    assert loss == pytest.approx(0.8 * inverse_loss + 0.2 * forward_loss, rel=1e-4)


def test_both_ends_of_a_step_are_seen_by_the_same_statistics(moves) -> None:
    source = fresh(NUMBERS)
    source.update(moves(64))
    batch = moves(64, seed=1)
    back = Transitions(batch.next_observations, batch.actions, batch.observations, batch.terminated, batch.truncated)
    (before, _, after), (last, _, first) = source.view(batch), source.view(back)
    assert torch.equal(before, first)
    assert torch.equal(after, last)


def test_the_inverse_model_learns_which_kind_of_action_was_taken(moves) -> None:
    source, kinds = fresh(KINDS), torch.arange(3.0)
    for seed in range(5):
        source.update(moves(256, seed=seed, kinds=kinds))
    batch = moves(256, seed=9, kinds=kinds)
    _, _, inverse = parts(source, batch)
    assert (inverse.argmax(-1) == batch.actions.flatten().numpy()).mean() > 0.95


def test_what_the_agent_cannot_influence_does_not_enter_the_features(noisy) -> None:
    """Features move less than a tenth as far with the noise as with what the action moves; observations move as far."""
    source = fresh(PUSHED)
    for seed in range(5):
        source.update(noisy(512, seed=seed))
    _, _, rows = source.view(noisy(512, seed=9))
    other = rows.roll(1, 0)

    @torch.no_grad()
    def moved(rows_with_another_number: Tensor) -> float:
        encoder = source.networks.encoder
        return float((encoder(rows_with_another_number) - encoder(rows)).square().sum(-1).mean())

    another_noise = moved(torch.stack([rows[:, 0], other[:, 1]], -1))
    another_place = moved(torch.stack([other[:, 0], rows[:, 1]], -1))
    assert another_noise < another_place / 10


def test_noise_is_less_of_the_bonus_than_of_that_for_the_error_in_observations(noisy) -> None:
    """Share of the mean bonus that goes away where the next noise is its mean, which is the best prediction."""
    torch.manual_seed(0)
    l2 = PredictionError(PUSHED, PredictionErrorConfig(updates_per_rollout=60, batch_size=64))
    shares = []
    for source in (fresh(PUSHED), l2):
        for seed in range(5):
            source.update(noisy(512, seed=seed))
        batch = noisy(512, seed=9)
        still = batch.next_observations * torch.tensor([1.0, 0.0])
        quiet = Transitions(batch.observations, batch.actions, still, batch.terminated, batch.truncated)
        shares.append(1 - float(source.novelty(quiet).mean() / source.novelty(batch).mean()))
    assert shares[0] < 0.7 < 0.9 < shares[1]
