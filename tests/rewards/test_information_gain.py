"""The bonus of VIME in worlds where it is clear what is new."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import InformationGain, InformationGain2016Config, InformationGainConfig, TaskShape
from rlgen.runs.state_tree import decode, encode

PLANE = TaskShape(observation_size=2, action_size=2)
QUICK = InformationGain2016Config(updates_per_rollout=100, batch_size=64, learning_rate=1e-2, hidden=(16,))


def moves(n: int, place: float = 0.0, seed: int = 0) -> Transitions:
    """A point near `place` on a line pushed about, s' = s + a, in two observation numbers."""
    generator = torch.Generator().manual_seed(seed)
    observations = place + 0.1 * torch.randn(n, 2, generator=generator)
    actions = 0.1 * torch.randn(n, 2, generator=generator)
    no = torch.zeros(n, dtype=torch.bool)
    return Transitions(observations, actions, observations + actions, no, no)


@pytest.fixture
def source() -> InformationGain:
    torch.manual_seed(0)
    return InformationGain(PLANE, QUICK)


def test_nothing_is_paid_before_the_model_has_learned_once(source: InformationGain) -> None:
    first, second = moves(256), moves(256, seed=1)
    source.update(first)
    assert torch.equal(source.reward(first), torch.zeros(256))
    source.update(second)
    assert (source.reward(second) > 0).all()


def test_the_usual_bonus_is_one() -> None:
    torch.manual_seed(0)
    source = InformationGain(PLANE, replace(QUICK, medians=1))
    for seed in range(3):
        batch = moves(255, seed=seed)
        source.update(batch)
    assert float(source.reward(batch).median()) == pytest.approx(1)


def test_places_that_were_never_seen_are_worth_more(source: InformationGain) -> None:
    for seed in range(3):
        source.update(moves(256, seed=seed))
    known, unknown = source.reward(moves(256, seed=9)), source.reward(moves(256, place=1.0, seed=9))
    assert float(unknown.median()) > 3 * float(known.median())


def test_what_is_seen_again_and_again_is_worth_less(source: InformationGain) -> None:
    early = source.update(moves(256))["gain"]
    for seed in range(1, 5):
        late = source.update(moves(256, seed=seed))["gain"]
    assert late < early


def test_a_batch_is_paid_for_what_it_was_worth_before_it_was_learned(source: InformationGain) -> None:
    source.update(moves(256))
    batch = moves(256, place=1.0, seed=1)
    torch.manual_seed(1)
    before = source.gain(batch)
    torch.manual_seed(1)
    source.update(batch)
    torch.testing.assert_close(source.reward(batch), before / source.unit.recent[0])
    again = batch[torch.arange(256)]
    assert float(source.reward(again).median()) < 0.5, "another batch is worth what it is worth now"


@pytest.mark.parametrize("gain", ["information", "first_order"])
def test_a_flow_over_weights_pays_more_for_places_that_were_never_seen_and_goes_on_when_loaded(gain: str) -> None:
    config = replace(QUICK, posterior="flow", gain=gain, updates_per_rollout=40)
    torch.manual_seed(0)
    source, other = InformationGain(PLANE, config), InformationGain(PLANE, config)
    assert [type(layer).__name__ for layer in source.model.layers] == ["FlowDense", "FlowDense"]
    for seed in range(3):
        source.update(moves(32, seed=seed))
    known, unknown = source.reward(moves(32, seed=9)), source.reward(moves(32, place=1.0, seed=9))
    assert float(unknown.median()) > 2 * float(known.median())
    other.load_state_dict(decode(*encode(source.state_dict())))
    paid = []
    for each in (source, other):
        torch.manual_seed(5)
        each.update(moves(32, seed=7))
        paid.append(each.reward(moves(32, seed=8)))
    torch.testing.assert_close(paid[0], paid[1], rtol=0, atol=0)


def test_weights_are_gaussian_unless_a_flow_is_asked_for() -> None:
    torch.manual_seed(0)
    source = InformationGain(PLANE)
    assert [type(layer).__name__ for layer in source.model.layers] == ["GaussianDense", "GaussianDense"]


@pytest.mark.parametrize("gain", ["compression", "first_order"])
def test_other_gains_also_pay_more_for_places_that_were_never_seen(gain: str) -> None:
    torch.manual_seed(0)
    source = InformationGain(PLANE, replace(QUICK, gain=gain))
    for seed in range(3):
        source.update(moves(64, seed=seed))
    known, unknown = source.reward(moves(64, seed=9)), source.reward(moves(64, place=1.0, seed=9))
    assert float(unknown.median()) > 2 * float(known.median())


def test_the_log_has_the_quantiles_of_what_is_paid(source: InformationGain) -> None:
    source.update(moves(64))
    batch = moves(64, seed=1)
    log = source.update(batch)
    paid = source.reward(batch)
    for name, share in (("bonus_10", 0.1), ("bonus_50", 0.5), ("bonus_90", 0.9)):
        torch.testing.assert_close(log[name], paid.quantile(share))
    assert float(log["gain"] / source.unit.recent[0]) == 1


def test_bonuses_are_clipped_in_units_of_the_usual_one() -> None:
    torch.manual_seed(0)
    source = InformationGain(PLANE, replace(QUICK, highest=2.0))
    source.update(moves(64))
    source.update(moves(64, seed=1))
    assert float(source.reward(moves(64, place=5.0, seed=2)).min()) == 2.0


def test_statistics_stand_still_while_it_pays(source: InformationGain) -> None:
    source.update(moves(64))
    before = source.normalized.inputs.mean.clone()
    source.reward(moves(64, place=5.0))
    assert torch.equal(source.normalized.inputs.mean, before)


def test_discrete_actions_are_told_apart() -> None:
    """Action 1 jumps, action 0 stays: a model that sees the action as a kind, not a size, predicts both."""
    torch.manual_seed(0)
    source = InformationGain(
        TaskShape(observation_size=1, action_size=1, n_actions=3),
        replace(QUICK, updates_per_rollout=300, likelihood_std=0.1),
    )
    actions = torch.randint(3, (512, 1)).float()
    observations, no = torch.zeros(512, 1), torch.zeros(512, dtype=torch.bool)
    jumps = torch.tensor([[0.0], [1.0], [-1.0]])[actions.long().flatten()]
    source.update(Transitions(observations, actions, jumps, no, no))
    inputs, targets = source.normalized(source.pool.draw(256))
    with torch.no_grad():
        error = (source.model(inputs, 8).mean(0) - targets).square().mean().sqrt()
    assert float(error) < 0.3


def test_a_source_that_was_saved_goes_on_alike(source: InformationGain) -> None:
    for seed in range(2):
        source.update(moves(128, seed=seed))
    other = InformationGain(PLANE, QUICK)
    other.load_state_dict(deepcopy(source.state_dict()))
    paid = []
    for each in (source, other):
        torch.manual_seed(5)
        each.update(moves(128, seed=7))
        paid.append(each.reward(moves(128, seed=8)))
    torch.testing.assert_close(paid[0], paid[1], rtol=0, atol=0)


def test_a_learned_likelihood_is_saved_and_tells_numbers_apart() -> None:
    """The second number is noise, the first one is not: their standard deviations part."""
    torch.manual_seed(0)
    config = replace(QUICK, likelihood="learned")
    source = InformationGain(PLANE, config)
    for seed in range(6):
        batch = moves(256, seed=seed)
        noisy = torch.stack([batch.next_observations[:, 0], torch.randn(256)], -1)
        source.update(replace(batch, next_observations=noisy))
    first, second = source.likelihood(None).tolist()
    assert first < 0.7 * second
    other = InformationGain(PLANE, config)
    other.load_state_dict(deepcopy(source.state_dict()))
    torch.testing.assert_close(other.likelihood(None), source.likelihood(None), rtol=0, atol=0)


WRONG = [
    {"step_size": 0.0},
    {"samples": 0},
    {"hidden": (0,)},
    {"pool_size": -1},
    {"n_data": float("nan")},
    {"prior_std": float("inf")},
    {"likelihood_std": 0.01, "likelihood": "learned"},
    {"posterior": "flow", "gain": "compression"},
    {"highest": 0.0},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        InformationGainConfig(**wrong)


@pytest.mark.parametrize("gain", ["information", "expected", "compression", "first_order"])
@pytest.mark.parametrize("likelihood", ["fixed", "learned", "heteroscedastic"])
def test_every_gain_takes_every_likelihood(gain: str, likelihood: str) -> None:
    torch.manual_seed(0)
    config = InformationGainConfig(gain=gain, likelihood=likelihood, updates_per_rollout=5, hidden=(8,))
    source, other = InformationGain(PLANE, config), InformationGain(PLANE, config)
    for seed in range(2):
        source.update(moves(32, seed=seed))
    other.load_state_dict(deepcopy(source.state_dict()))
    for each in (source, other):
        torch.manual_seed(1)
        paid = each.reward(moves(32, seed=3))
        assert (paid > 0).all()
        assert (paid <= 10).all()
        if each is source:
            expected = paid
    torch.testing.assert_close(paid, expected, rtol=0, atol=0)


def test_noise_that_comes_with_an_action_is_not_news() -> None:
    """A television that shows noise when action 0 is positive: VIME pays about the same with it on and off, that of
    2016 pays for its noise."""

    def shows(n: int, seed: int) -> Transitions:
        batch = moves(n, seed=seed)
        noise = torch.randn(n, generator=torch.Generator().manual_seed(100 + seed))
        second = batch.observations[:, 1] + torch.where(batch.actions[:, 0] > 0, noise, 0.01 * noise)
        after = torch.stack([batch.observations[:, 0] + batch.actions[:, 0], second], 1)
        return replace(batch, next_observations=after)

    ratios = []
    for config in (InformationGainConfig(), InformationGain2016Config()):
        torch.manual_seed(0)
        source = InformationGain(PLANE, config)
        for seed in range(40):
            source.update(shows(512, seed))
        batch = shows(4096, 99)
        paid, on = source.reward(batch), batch.actions[:, 0] > 0
        ratios.append(float(paid[on].mean() / paid[~on].mean()))
    assert ratios[0] < 2 < 0.5 * ratios[1]
