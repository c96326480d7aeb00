"""What a curiosity sees of transitions: chosen numbers, finite rows, changes."""

from copy import deepcopy

import pytest
import torch

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import InformationGain, InformationGainConfig, PredictionError, RandomNetworkDistillation, TaskShape
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.novelty import NormalisedTransitions
from rlgen.rewards.view import ObservedNumbers, OfView, ranges

SHAPE = TaskShape(observation_size=3, action_size=2, n_envs=2)


def rows(n: int = 64, seed: int = 0, size: int = 3) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    before, actions = torch.randn(n, size, generator=generator), torch.randn(n, 2, generator=generator)
    no = torch.zeros(n, dtype=torch.bool)
    return Transitions(before, actions, before + 0.1 * torch.randn(n, size, generator=generator), no, no)


def test_what_is_not_observed_has_no_influence() -> None:
    view, batch = ObservedNumbers([4, 0], 5), rows(size=5)
    seen = view.of(batch)
    assert torch.equal(seen.observations, batch.observations[:, [4, 0]])
    assert torch.equal(seen.next_observations, batch.next_observations[:, [4, 0]])
    sources = []
    for shift in (0.0, 7.0):
        torch.manual_seed(0)
        source = OfView(RandomNetworkDistillation(TaskShape(observation_size=2, action_size=2, n_envs=2)), view)
        for seed in range(3):
            changed = rows(seed=seed, size=5)
            changed.next_observations[:, [1, 2, 3]] += shift
            torch.manual_seed(seed)
            source.update(changed)
        sources.append(source.reward(changed))
    torch.testing.assert_close(*sources, rtol=0, atol=0)


def test_a_view_goes_on_alike_when_loaded() -> None:
    view = ObservedNumbers([1, 2], 3)
    made = [
        OfView(InformationGain(TaskShape(observation_size=2, action_size=2, n_envs=2)), deepcopy(view))
        for _ in range(2)
    ]
    for seed in range(2):
        made[0].update(rows(seed=seed))
    made[1].load_state_dict(deepcopy(made[0].state_dict()))
    paid = []
    for each in made:
        torch.manual_seed(5)
        each.update(rows(seed=7))
        paid.append(each.reward(rows(seed=8)))
    torch.testing.assert_close(paid[0], paid[1], rtol=0, atol=0)


@pytest.mark.parametrize("wrong", [[0, 0], [5], [-1]])
def test_numbers_that_an_observation_does_not_have_are_refused(wrong: list[int]) -> None:
    with pytest.raises(InputError, match="an observation of 5"):
        ObservedNumbers(wrong, 5)


def test_numbers_are_written_as_ranges() -> None:
    assert ranges(range(29)) == "0-28"
    assert ranges([3, 1, 2, 7]) == "3 1-2 7"
    assert ranges([]) == ""


def test_rows_that_are_not_finite_are_replaced_by_others() -> None:
    batch = rows(6)
    for same, given in zip(finite_rows(batch).tensors(), batch.tensors(), strict=True):
        assert torch.equal(same, given)
    batch.observations[1, 0], batch.actions[2, 1], batch.next_observations[4, 2] = torch.nan, torch.inf, -torch.inf
    found = finite_rows(batch)
    assert all(torch.isfinite(each).all() for each in found.tensors()[:3])
    for row in (0, 3, 5):
        assert torch.equal(found.observations[row], batch.observations[row])
    for row in (1, 2, 4):
        assert any(torch.equal(found.observations[row], batch.observations[other]) for other in (0, 3, 5))


@pytest.mark.parametrize("kind", [InformationGain, PredictionError, RandomNetworkDistillation])
def test_one_bad_row_spoils_nothing(kind: type) -> None:
    """Statistics, pool, networks and unit stay finite, and other rows are rewarded."""
    torch.manual_seed(0)
    source = kind(SHAPE)
    for seed in range(3):
        batch = rows(seed=seed)
        batch.next_observations[5, 1] = torch.nan
        source.update(batch)
    fine = rows(seed=9)
    source.update(fine)
    assert torch.isfinite(source.reward(fine)).all()
    assert (source.reward(fine) > 0).any()
    state = source.state_dict()
    for name in ("pool", "unit"):
        tensors = [each for each in (state.get(name) or {}).values() if isinstance(each, torch.Tensor)]
        assert all(torch.isfinite(each).all() for each in tensors), name


def test_changes_are_predicted_where_they_are_asked_for() -> None:
    view, batch = NormalisedTransitions(SHAPE, "change"), rows()
    view.merge(batch)
    _, targets = view(batch)
    change = batch.next_observations - batch.observations
    torch.testing.assert_close(targets.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    assert all(torch.corrcoef(torch.stack([targets[:, i], change[:, i]]))[0, 1] > 0.999 for i in range(3))
    still = Transitions(batch.observations, batch.actions, batch.observations, batch.terminated, batch.truncated)
    torch.testing.assert_close(view.unchanged(batch), view(still)[1])
    absolute = NormalisedTransitions(SHAPE)
    absolute.merge(batch)
    torch.testing.assert_close(absolute.unchanged(batch), absolute(still)[1])


def test_the_log_counts_numbers_that_are_predicted_worse_than_by_no_change() -> None:
    torch.manual_seed(0)
    config = InformationGainConfig(predicts="change", updates_per_rollout=200, hidden=(16,))
    source = InformationGain(TaskShape(observation_size=2, action_size=2, n_envs=2), config)
    for seed in range(4):
        batch = rows(256, seed, size=2)
        batch.next_observations[:, 0] = batch.observations[:, 0] + batch.actions[:, 0]  # this one can be predicted
        batch.next_observations[:, 1] = batch.observations[:, 1] + 1e-3 * torch.randn(256)
        found = source.update(batch)
    assert int(found["unpredicted"]) in (0, 1)
    with torch.no_grad():
        for layer in source.model.layers:
            layer.mean += 1.0
    assert int(source._unpredicted(batch)) == 2
