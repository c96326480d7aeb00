"""What a discriminator reads of observations and actions of every space."""

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rlgen.data import Transitions
from rlgen.data.observations import of_store
from rlgen.nn import Bottleneck, GradientPenalty, HistoricalAverage, Quantize, SpectralNorm
from rlgen.nn.conv import strided_encoder
from rlgen.nn.image_columns import ImageColumns
from rlgen.rewards import Adversarial, AdversarialConfig, observation_rows
from rlgen.rewards.observation_rows import ObservationRows, action_encoding
from rlgen.runs.state_tree import decode, encode

CPU = torch.device("cpu")
SMALL = AdversarialConfig(hidden=(16,), learning_rate=3e-3, updates_per_rollout=10, batch_size=32, filters=4)
VIEW = spaces.Box(0, 255, (9, 7, 3), np.uint8)
BOTH = spaces.Dict({"view": VIEW, "gauge": spaces.Box(-9, 9, (2,)), "kind": spaces.Discrete(3)})


@pytest.mark.parametrize(
    ("space", "actions", "expected"),
    [
        (spaces.Discrete(3), [2.0], [0, 0, 1]),
        (spaces.MultiDiscrete([2, 3]), [1.0, 0.0], [0, 1, 1, 0, 0]),
        (spaces.MultiBinary(3), [1.0, 0.0, 1.0], [1, 0, 1]),
        (spaces.Box(np.float32([-1, 0]), np.float32([1, 4])), [0.5, 4.0], [0.5, 1]),
    ],
)
def test_actions_are_read_one_hot_scaled_or_as_they_are(space: spaces.Space, actions: list, expected: list) -> None:
    encoded, size = action_encoding(space, CPU)
    assert size == len(expected)
    assert encoded(torch.tensor([actions])).tolist() == [expected]


def views(rows: int, seed: int = 0, brightness: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 100, (rows, *VIEW.shape), generator=generator, dtype=torch.uint8)
    pixels[:, 2:5, 2:5, 0] += brightness
    return pixels


def seen(rows: int, seed: int = 0, brightness: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(0, 3, (rows, 1), generator=generator)
    gauge = torch.randn(rows, 2, generator=generator)
    return {"kind": kinds, "view": views(rows, seed, brightness), "gauge": gauge}


def transitions(observations: Any, actions: Tensor | None = None) -> Transitions[Any]:
    """Every next observation is the next row's, the last one's the first's."""
    rows = len(observations if isinstance(observations, Tensor) else observations["view"])
    no, index = torch.zeros(rows, dtype=torch.bool), torch.arange(rows).roll(-1)
    now, then = of_store(observations, index)
    return Transitions(now, torch.zeros(rows, 1) if actions is None else actions, then, no, no)


def source(space: spaces.Space, shown: Any, config: AdversarialConfig = SMALL, penalties: Any = ()) -> Adversarial:
    torch.manual_seed(0)
    task = SimpleNamespace(observation_space=space, action_space=spaces.Discrete(2))
    return Adversarial(transitions(shown), task, config, penalties)


def test_images_are_read_alike_with_channels_first_and_last() -> None:
    last = views(8)
    first = last.permute(0, 3, 1, 2).contiguous()
    rows, moved = ObservationRows(VIEW, last), ObservationRows(spaces.Box(0, 255, (3, 9, 7), np.uint8), first)
    assert torch.equal(rows(last), rows(first))
    assert torch.equal(rows(last), moved(last))
    gail = source(VIEW, last)
    assert torch.equal(gail.reward(transitions(last)), gail.reward(transitions(first)))
    channels = first[:, 1].double() / 255  # closed form of the second channel
    others = torch.stack([first[:, each].double().std(correction=0) / 255 for each in range(3)])
    expected = (channels - channels.mean()) / (others[1] + 0.02 * others.median())
    torch.testing.assert_close(rows(last)[:, 63:126], expected.flatten(1).float())


def test_entries_of_a_dictionary_stand_side_by_side() -> None:
    shown = seen(50)
    rows = ObservationRows(BOTH, shown)
    assert rows.size == 2 + 3 + 189
    assert rows.images == [((3, 9, 7), 5)]
    found = rows(shown)
    gauge = shown["gauge"]
    std = gauge.std(0, correction=0)
    torch.testing.assert_close(found[:, :2], (gauge - gauge.mean(0)) / (std + 0.02 * std.median()))
    assert torch.equal(found[:, 2:5], torch.eye(3)[shown["kind"][:, 0]])
    assert torch.equal(found[:, 5:], ObservationRows(VIEW, shown["view"])(shown["view"]))


def test_windows_and_discrete_observations_are_flat() -> None:
    window = torch.randn(5, 6)
    rows = ObservationRows(spaces.Box(-9, 9, (2, 3)), window)
    assert torch.equal(rows(window.unflatten(1, (2, 3))), rows(window))
    place = torch.tensor([[2.0], [0.0]])
    assert ObservationRows(spaces.Discrete(3), place)(place).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_columns_that_are_no_image_stay_and_images_share_an_encoder() -> None:
    torch.manual_seed(0)
    columns = ImageColumns(2 * 50 + 3, [((2, 5, 5), [1, 52])], filters=4)
    rows = torch.randn(6, 103)
    found = columns(rows)
    encoder = columns.encoders[0]
    first, second = (encoder(rows[:, at : at + 50].unflatten(1, (2, 5, 5))) for at in (1, 52))
    assert torch.equal(found, torch.cat([rows[:, :1], first, rows[:, 51:52], second, rows[:, 102:]], 1))
    assert found.shape == (6, columns.size)
    assert len(columns.encoders) == 1


@pytest.mark.parametrize(
    ("sides", "features"),
    [
        ((3, 3), 4 * 4),
        ((7, 7), 4 * 16),
        ((8, 8), 4 * 16),
        ((84, 84), 32 * 36),
        ((210, 160), 64 * 35),
        ((1, 30), 16 * 4),
    ],
)
def test_images_of_any_size_are_encoded(sides: tuple[int, int], features: int) -> None:
    network, size = strided_encoder(2, *sides, filters=4)
    assert network(torch.randn(3, 2, *sides)).shape == (3, size)
    assert size == features


PENALTIES = [GradientPenalty, SpectralNorm, Bottleneck, Quantize, partial(HistoricalAverage, weight=0.01)]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_expert_and_policy_are_told_apart_by_their_images_with_every_penalty(penalty: Any) -> None:
    gail, policy = source(BOTH, seen(60, brightness=120), penalties=[penalty()]), transitions(seen(60, seed=1))
    for _ in range(6):
        metrics = gail.update(policy)
    assert gail.reward(gail.demonstrations).mean() > gail.reward(policy).mean()
    assert float(metrics["expert_accuracy"]) > 0.8
    assert float(metrics["policy_accuracy"]) > 0.8


def test_a_penalty_sees_the_gradient_of_pixels_numbers_and_actions() -> None:
    gail = source(BOTH, seen(20))
    inputs = gail.inputs(transitions(seen(4))).requires_grad_()
    (gradient,) = torch.autograd.grad(gail.logit(inputs).sum(), inputs)
    assert gradient.shape == (4, 189 + 5 + 2)
    assert (gradient.abs().sum(0) > 0).float().mean() > 0.9


def test_state_transitions_read_both_images() -> None:
    gail = source(VIEW, views(20), SMALL.__class__(**{**vars(SMALL), "inputs": "state_transition"}))
    batch = transitions(views(8, seed=1))
    gail.update(batch)
    changed = Transitions(batch.observations, batch.actions, views(8, seed=2), batch.terminated, batch.truncated)
    assert not torch.equal(gail.reward(batch), gail.reward(changed))


def test_pixels_are_floats_for_a_part_of_the_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation_rows, "ROWS_AT_ONCE", 16)
    gail, sizes = source(VIEW, views(70), SMALL, ()), []
    inputs = gail.inputs
    gail.inputs = lambda batch: sizes.append(len(batch)) or inputs(batch)  # type: ignore[method-assign]
    batch = transitions(views(50, seed=1))
    gail.update(batch)
    assert set(sizes) == {SMALL.batch_size}
    sizes.clear()
    parts = gail.reward(batch)
    assert sizes == [16, 16, 16, 2]
    monkeypatch.setattr(observation_rows, "ROWS_AT_ONCE", 64)
    torch.testing.assert_close(gail.reward(batch), parts)


def test_statistics_of_every_entry_are_saved() -> None:
    first, second = source(BOTH, seen(30)), source(BOTH, seen(40, seed=5, brightness=90))
    first.update(transitions(seen(20, seed=2)))
    second.load_state_dict(decode(*encode(first.state_dict())))
    batch = transitions(seen(9, seed=3))
    assert torch.equal(first.reward(batch), second.reward(batch))


def test_running_statistics_take_in_images_too() -> None:
    gail = source(BOTH, seen(30), AdversarialConfig(hidden=(8,), filters=2, batch_size=8, normalizer="running"))
    gail.update(transitions(seen(20, seed=2, brightness=150)))
    joined = torch.cat([views(30), views(20, 2, 150)]).double() / 255
    normalizer = gail.observations.entries["view"].normalizer
    torch.testing.assert_close(normalizer.mean.double(), joined.mean((0, 1, 2)), atol=1e-6, rtol=0)
    assert math.isclose(float(normalizer.count), 50 * 63)
