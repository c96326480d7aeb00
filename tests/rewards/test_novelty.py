"""What holds for every bonus of networks that predict, in a world where it is clear what is new."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import (
    EnsembleDisagreement,
    EnsembleDisagreementConfig,
    IntrinsicCuriosity,
    IntrinsicCuriosityConfig,
    LatentBayesianSurprise,
    LatentBayesianSurpriseConfig,
    Novelty,
    PredictionError,
    PredictionErrorConfig,
    RandomNetworkDistillation,
    RandomNetworkDistillationConfig,
    RewardSource,
    TaskShape,
)
from rlgen.runs.state_tree import decode, encode

PLANE = TaskShape(observation_size=2, action_size=2)
KINDS = TaskShape(observation_size=2, action_size=1, n_actions=3)
SOURCES = {
    "rnd": (RandomNetworkDistillation, RandomNetworkDistillationConfig()),
    "icm": (IntrinsicCuriosity, IntrinsicCuriosityConfig()),
    "l2": (PredictionError, PredictionErrorConfig()),
    "disagreement": (EnsembleDisagreement, EnsembleDisagreementConfig()),
    "lbs": (LatentBayesianSurprise, LatentBayesianSurpriseConfig()),
}
of_models = pytest.mark.parametrize("make", ["icm", "l2", "disagreement", "lbs"], indirect=True)

Make = Callable[..., Novelty]


@pytest.fixture(params=SOURCES)
def make(request: pytest.FixtureRequest) -> Make:
    source, config = SOURCES[request.param]

    def seeded(shape: TaskShape = PLANE) -> Novelty:
        torch.manual_seed(0)
        return source(shape, replace(config, updates_per_rollout=60, batch_size=64, learning_rate=1e-3))

    return seeded


def copy_of(source: Novelty, make: Make, shape: TaskShape = PLANE) -> Novelty:
    copy = make(shape)
    copy.load_state_dict(deepcopy(source.state_dict()))
    return copy


def tensors(state: object) -> list[torch.Tensor]:
    """Copies of all tensors of a nested state."""
    if isinstance(state, torch.Tensor):
        return [state.clone()]
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for value in inner for tensor in tensors(value)]


def test_it_is_a_reward_source(make: Make) -> None:
    assert isinstance(make(), RewardSource)


def test_places_that_were_never_seen_are_worth_more(make: Make, moves) -> None:
    source = make()
    for seed in range(4):
        source.update(moves(256, seed=seed))
    known, unknown = source.reward(moves(256, seed=9)), source.reward(moves(256, place=0.6, seed=9))
    assert float(unknown.median()) > 3 * float(known.median())


def test_what_is_seen_again_and_again_is_worth_less(make: Make, moves) -> None:
    source = make()
    early = source.update(moves(256))["novelty_50"]
    for seed in range(1, 4):
        late = source.update(moves(256, seed=seed))["novelty_50"]
    assert late < early / 2


def test_the_first_rollout_is_paid(make: Make, moves) -> None:
    source, batch = make(), moves(256)
    source.update(batch)
    assert (source.reward(batch) > 0).all()


def test_a_batch_is_paid_for_what_it_was_worth_before_it_was_learned(make: Make, moves) -> None:
    source = make()
    source.update(moves(256))
    batch = moves(256, place=0.6, seed=1)
    before = copy_of(source, make)
    before.view.merge(batch)
    source.update(batch)
    torch.testing.assert_close(source.reward(batch), source.unit(before.novelty(batch)), rtol=0, atol=0)
    again = batch[torch.arange(256)]
    assert source.reward(again).median() < source.reward(batch).median() / 2, "a copy is worth what it is worth now"


def test_nothing_moves_while_it_pays(make: Make, moves) -> None:
    source = make()
    source.update(moves(64))
    before = tensors(source.state_dict())
    source.reward(moves(64, place=5.0))
    assert all(torch.equal(one, two) for one, two in zip(before, tensors(source.state_dict()), strict=True))


def test_rewards_carry_no_gradient(make: Make, moves) -> None:
    source, batch = make(), moves(64)
    source.update(batch)
    assert not source.reward(batch).requires_grad
    assert not source.reward(moves(64)).requires_grad


def test_the_log_has_the_loss_and_the_quantiles_of_what_is_paid(make: Make, moves) -> None:
    source, batch = make(), moves(256)
    logged = source.update(batch)
    expected = {f"{name}_{share}" for name in ("novelty", "bonus") for share in (10, 50, 90)} | {"loss"}
    assert set(logged) == expected
    assert all(value.shape == () and torch.isfinite(value) for value in logged.values())
    for share in (10, 50, 90):
        assert float(logged[f"bonus_{share}"]) == pytest.approx(np.percentile(source.reward(batch), share), rel=1e-4)


@of_models
def test_a_kind_of_action_that_was_never_taken_is_new(make: Make, moves) -> None:
    source = make(KINDS)
    for seed in range(4):
        source.update(moves(256, seed=seed, kinds=torch.tensor([0.0, 1.0])))
    known = moves(256, seed=9, kinds=torch.tensor([0.0]))
    unknown = Transitions(known.observations, known.actions + 2, *known.tensors()[2:])
    assert source.reward(unknown).median() > 3 * source.reward(known).median()


@pytest.mark.parametrize("shape", [PLANE, KINDS], ids=["numbers", "kinds"])
def test_a_source_that_was_saved_goes_on_alike(make: Make, moves, shape: TaskShape) -> None:
    kinds = None if shape.n_actions is None else torch.arange(3.0)
    source = make(shape)
    for seed in range(2):
        source.update(moves(128, seed=seed, kinds=kinds))
    other = make(shape)
    other.update(moves(64, place=3.0, kinds=kinds))  # what it held must be gone
    other.load_state_dict(decode(*encode(source.state_dict())))  # as a checkpoint holds it
    paid = []
    for each in (source, other):
        torch.manual_seed(5)
        batch = moves(128, seed=7, kinds=kinds)
        each.update(batch)
        paid.append(torch.stack([each.reward(batch), each.reward(moves(128, seed=8, kinds=kinds))]))
    torch.testing.assert_close(paid[0], paid[1], rtol=0, atol=0)


def test_the_same_seed_pays_the_same(make: Make, moves) -> None:
    paid = []
    for _ in range(2):
        source = make()
        source.update(moves(128))
        paid.append(source.reward(moves(128, seed=1)))
    assert torch.equal(*paid)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"updates_per_rollout": 0}, {"batch_size": -1}])
@pytest.mark.parametrize("kind", SOURCES)
def test_settings_out_of_range_are_refused(kind: str, wrong: dict) -> None:
    with pytest.raises(InputError):
        replace(SOURCES[kind][1], **wrong)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("rnd", {"target_hidden": (0,)}),
        ("rnd", {"predictor_hidden": (64, 0)}),
        ("rnd", {"features": 0}),
        ("rnd", {"clip": 0.0}),
        ("rnd", {"clip": float("nan")}),
        ("rnd", {"gamma": 1.0}),
        ("icm", {"beta": 0.0}),
        ("icm", {"beta": 1.0}),
        ("icm", {"model_hidden": (-1,)}),
        ("l2", {"pool_size": 0}),
        ("l2", {"hidden": (0,)}),
        ("disagreement", {"members": 1}),
        ("disagreement", {"gamma": 1.5}),
        ("lbs", {"latent": 0}),
        ("lbs", {"likelihood_std": 0.0}),
        ("lbs", {"beta": -1.0}),
        ("lbs", {"gamma": 1.0}),
    ],
)
def test_settings_of_one_kind_out_of_range_are_refused(kind: str, wrong: dict) -> None:
    with pytest.raises(InputError):
        replace(SOURCES[kind][1], **wrong)
