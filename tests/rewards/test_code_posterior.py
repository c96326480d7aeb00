"""What is paid for a code that shows, where it is known how much of it does."""

import math
from types import SimpleNamespace

import pytest
import torch
from gymnasium import spaces

from rlgen.data import Transitions
from rlgen.equations.variational_bounds import categorical_information
from rlgen.errors import InputError
from rlgen.nn import GradientPenalty
from rlgen.rewards import Adversarial, AdversarialConfig, CodePosterior, CodePosteriorConfig, RewardSource
from rlgen.rewards.code_posterior import WithoutCode, without_code
from rlgen.runs.state_tree import decode, encode

CODES = 3
CONFIG = CodePosteriorConfig(hidden=(16,), learning_rate=1e-2, updates_per_rollout=100, batch_size=256)


def steps(n: int, told: float, seed: int = 0) -> Transitions:
    """A code in the last three of five observation numbers; with probability `told` the action says which."""
    generator = torch.Generator().manual_seed(seed)
    codes, others = torch.randint(CODES, (2, n), generator=generator)
    shown = torch.where(torch.rand(n, generator=generator) < told, codes, others)
    observations = torch.cat([torch.randn(n, 2, generator=generator), torch.eye(CODES)[codes]], -1)
    no = torch.zeros(n, dtype=torch.bool)
    return Transitions(observations, shown[:, None] - 1.0, observations, no, no)


def seen(batch: Transitions) -> torch.Tensor:
    return torch.cat([batch.observations, batch.actions], -1)


def posterior(config: CodePosteriorConfig = CONFIG, seed: int = 0) -> CodePosterior:
    torch.manual_seed(seed)
    return CodePosterior(seen, 3, CODES, config)


def information(told: float) -> float:
    """I(c; a) of `steps`, nats: log K - H(c|a)."""
    right = told + (1 - told) / CODES
    wrong = (1 - right) / (CODES - 1)
    remaining = -(right * math.log(right) + ((CODES - 1) * wrong * math.log(wrong) if wrong > 0 else 0))
    return math.log(CODES) - remaining


@pytest.mark.parametrize("told", [0.0, 0.5, 1.0])
def test_the_mean_reward_is_the_information_between_code_and_action(told: float) -> None:
    source = posterior()
    for seed in range(4):
        source.update(steps(4096, told, seed))
    assert float(source.reward(steps(4096, told, 9)).mean()) == pytest.approx(information(told), abs=0.05)


def test_the_mean_reward_is_the_bound_of_the_equations() -> None:
    source, batch = posterior(), steps(100, 0.5)
    logits = source.network(seen(without_code(batch, CODES)))
    bound = categorical_information(logits, batch.observations[:, 2:].argmax(-1))
    torch.testing.assert_close(source.reward(batch).mean(), bound.detach())


def test_a_source_without_code_pays_alike_whatever_the_code() -> None:
    torch.manual_seed(0)
    batch = steps(64, 0.0)
    other = Transitions(batch.observations.clone(), *batch.tensors()[1:])
    other.observations[:, 2:] = torch.eye(CODES)[2]
    config = AdversarialConfig(hidden=(8,), batch_size=16)
    expert = without_code(steps(64, 0.0, 1), CODES)
    task = SimpleNamespace(observation_space=spaces.Box(-9, 9, (2,)), action_space=spaces.Box(-1, 1, (1,)))
    plain = Adversarial(expert, task, config, (GradientPenalty(),))
    blind = WithoutCode(plain, CODES)
    assert isinstance(blind, RewardSource)
    blind.update(batch)
    assert torch.equal(blind.reward(batch), blind.reward(other))
    assert torch.equal(blind.reward(batch), plain.reward(without_code(batch, CODES)))
    kept = blind.state_dict()["normaliser"]["mean"]
    assert len(kept) == 2


def test_a_posterior_that_was_saved_goes_on_alike() -> None:
    first, second = posterior(), posterior(seed=1)
    first.update(steps(128, 0.5))
    second.load_state_dict(decode(*encode(first.state_dict())))
    paid = []
    for each in (first, second):
        torch.manual_seed(5)
        each.update(steps(128, 0.5, 1))
        paid.append(each.reward(steps(128, 0.5, 2)))
    assert torch.equal(*paid)


def test_the_same_seed_pays_the_same_and_nothing_moves_while_it_pays() -> None:
    paid = []
    for _ in range(2):
        source = posterior()
        source.update(steps(128, 0.5))
        paid += [source.reward(steps(128, 0.5)), source.reward(steps(128, 0.5))]
    assert all(torch.equal(paid[0], each) and not each.requires_grad for each in paid)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"batch_size": 0}, {"hidden": (8, 0)}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        CodePosteriorConfig(**wrong)
