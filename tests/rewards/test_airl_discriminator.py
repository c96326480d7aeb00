"""AIRL's discriminator: known answers, and the learned reward as a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from rlgen.data.transitions import Transitions
from rlgen.errors import InputError
from rlgen.rewards.airl_discriminator import AIRLDiscriminator, AIRLDiscriminatorConfig
from rlgen.rewards.learned_reward import FILE, LearnedReward
from rlgen.rewards.source import TaskShape

CONFIG = AIRLDiscriminatorConfig(
    inputs="state_action",
    hidden=(16,),
    potential_hidden=(16,),
    learning_rate=0.02,
    batch_size=512,
    updates_per_rollout=150,
)


def batch(actions: torch.Tensor, observations: torch.Tensor | None = None) -> Transitions:
    seen = torch.zeros(len(actions), 2) if observations is None else observations
    no = torch.zeros(len(actions), dtype=torch.bool)
    return Transitions(seen, actions, seen + 1, no, no)


def discriminator(demonstrations: Transitions, config: AIRLDiscriminatorConfig = CONFIG, **task) -> AIRLDiscriminator:
    shape = TaskShape(observation_size=2, action_size=1, **task)
    low = torch.full((1,), -2.0)

    def standard_normal(observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(actions).squeeze(1)

    def uniform(observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return torch.full((len(actions),), 1 / 3).log()

    return AIRLDiscriminator(demonstrations, shape, low, -low, uniform if task else standard_normal, 0.0, config)


def test_of_one_state_it_learns_the_experts_log_probabilities() -> None:
    torch.manual_seed(0)
    probs = torch.tensor([0.6, 0.3, 0.1])
    experts = torch.multinomial(probs, 4000, replacement=True)[:, None].float()
    source = discriminator(batch(experts), n_actions=3)
    own = torch.randint(3, (4000, 1)).float()
    source.policy_log_prob = source.log_prob(own, own)
    source.update(batch(own))
    each = torch.arange(3)[:, None].float()
    source.policy_log_prob = source.log_prob(each, each)
    torch.testing.assert_close(source.reward(batch(each)), (3 * probs).log(), atol=0.15, rtol=0)


def test_likelihoods_are_those_that_the_policy_drew_and_must_fit_the_batch() -> None:
    torch.manual_seed(0)
    source = discriminator(batch(torch.randn(64, 1)))
    own = batch(torch.randn(8, 1))
    source.policy_log_prob = torch.zeros(8)
    before = source.reward(own)
    source.policy_log_prob = torch.arange(8.0)
    torch.testing.assert_close(source.reward(own), before - torch.arange(8.0))
    with pytest.raises(InputError, match=r"log-probabilities \[4\]"):
        source.reward(own[:4])


def test_it_remembers_what_an_earlier_policy_did() -> None:
    """The policy has moved from -1 to the expert's 1. Without its past, a reward of -1 is whatever the network does."""
    found = {}
    for past in (0, 4):
        torch.manual_seed(0)
        experts, early, late = (place + 0.1 * torch.randn(512, 1) for place in (1.0, -1.0, 1.0))
        source = discriminator(batch(experts), replace(CONFIG, past_rollouts=past, updates_per_rollout=20))
        for own in (early, *[late] * 20):
            source.policy_log_prob = torch.distributions.Normal(own.mean(), 0.1).log_prob(own).squeeze(1)
            source.update(batch(own))
        seen, places = torch.zeros(2, 2), torch.tensor([[1.0], [-1.0]])
        expert, left = source.learned(seen, places).tolist()
        found[past] = expert - left
    assert found[4] > found[0] + 1, found


def test_with_zero_lowest_no_reward_is_negative() -> None:
    torch.manual_seed(0)
    source, own = discriminator(batch(torch.randn(64, 1)), replace(CONFIG, zero="lowest")), batch(torch.randn(8, 1))
    source.policy_log_prob = torch.linspace(-3, 3, 8)
    found = source.reward(own)
    source.config = CONFIG
    torch.testing.assert_close(found, source.reward(own) - source.reward(own).min())


def test_the_potential_of_a_state_after_the_end_is_none() -> None:
    torch.manual_seed(0)
    source = discriminator(batch(torch.randn(64, 1)))
    source.gamma = 0.5
    own, yes = batch(torch.randn(4, 1)), torch.ones(4, dtype=torch.bool)
    ended = Transitions(own.observations, own.actions, own.next_observations, yes, ~yes)
    source.policy_log_prob = torch.zeros(4)
    with torch.no_grad():
        follows = source.potential(source.learned.normalizer(own.next_observations)).squeeze(1)
    torch.testing.assert_close(source.reward(own) - source.reward(ended), 0.5 * follows)


@pytest.mark.parametrize("inputs", ["state", "state_action"])
def test_the_learned_reward_is_the_same_from_its_file(inputs: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = AIRLDiscriminatorConfig(inputs=inputs, hidden=(4,))  # type: ignore[arg-type]
    learned = discriminator(batch(torch.randn(64, 1), torch.randn(64, 2)), config).learned
    (tmp_path / FILE).write_bytes(learned.to_bytes())
    again = LearnedReward.load(tmp_path)
    rows = batch(torch.randn(16, 1), torch.randn(16, 2))
    assert torch.equal(again.reward(rows), learned.reward(rows))
    assert again.update(rows) == {}
    other = batch(rows.actions + 1, rows.observations)
    assert torch.equal(again.reward(other), again.reward(rows)) == (inputs == "state")
    again.require_fits(2, 1, None, "this task")
    with pytest.raises(InputError, match="dimensions"):
        again.require_fits(3, 1, None, "another task")


def test_a_reward_of_chosen_numbers_sees_no_others_and_neither_does_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = discriminator(batch(torch.randn(64, 1), torch.randn(64, 2)), replace(CONFIG, observed=("1",)))
    learned, rows = source.learned, batch(torch.randn(16, 1), torch.randn(16, 2))
    (tmp_path / FILE).write_bytes(learned.to_bytes())
    again = LearnedReward.load(tmp_path)
    assert torch.equal(again.reward(rows), learned.reward(rows))
    for changed, same in (([1.0, 0.0], True), ([0.0, 1.0], False)):
        other = batch(rows.actions, rows.observations + torch.tensor(changed))
        assert torch.equal(again.reward(other), learned.reward(rows)) == same
    source.policy_log_prob = torch.zeros(16)
    moved = batch(rows.actions, rows.observations + torch.tensor([1.0, 0.0]))
    assert not torch.equal(source.reward(moved), source.reward(rows)), "the potential sees all"
    with pytest.raises(InputError, match="dimensions from 0 to 1"):
        discriminator(batch(torch.randn(8, 1)), replace(CONFIG, observed=("2",)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        LearnedReward.load(tmp_path)
    learned = discriminator(batch(torch.randn(8, 1))).learned
    whole, tensors = learned.to_bytes(), load(learned.to_bytes())
    broken = {
        "header": b"no safetensors",
        "short": whole[:-4],
        "bare": save(tensors),
        "huge": save(tensors, {"rlgen learned reward": '{"hidden": [99999999999]}'}),
        "partial": save({"center": tensors["center"]}, {"rlgen learned reward": "{}"}),
    }
    shape = {"observation_size": 1, "action_size": 1, "n_actions": None, "inputs": "state", "hidden": [64]}
    others: list[Any] = [None, 3, "x", {**shape, "hidden": [float("inf")]}, {**shape, "n_actions": 0}]
    others += [{**shape, "action_size": True}, {**shape, "observed": [1]}, {**shape, "observed": [True]}]
    for number, other in enumerate(others):
        broken[f"shape {number}"] = save(tensors, {"rlgen learned reward": json.dumps(other)})
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="learned reward in"):
            LearnedReward.load(tmp_path / name)
    (tmp_path / FILE).write_bytes(save(tensors, {"rlgen learned reward": json.dumps({**shape, "hidden": [2**20] * 2})}))
    with pytest.raises(InputError, match="tensors of another shape"):  # before 4 TiB are allocated
        LearnedReward.load(tmp_path)
