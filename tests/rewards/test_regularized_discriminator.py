"""Dropout, weight decay and mixup of the discriminator: what each changes, and what it leaves alone."""

from dataclasses import replace

import pytest
import torch

from rlgen.agents.gail import OFF_POLICY, REGULARIZED
from rlgen.errors import InputError
from rlgen.nn import HiddenDropout, InputDropout, PenaltyConfig, SpectralNorm, mlp
from rlgen.rewards import Adversarial, AdversarialConfig
from rlgen.runs.state_tree import decode, encode

from .test_adversarial import SMALL, random_transitions, source


def test_a_share_of_the_inputs_is_dropped_in_training_only() -> None:
    network = InputDropout(share=0.25).wrap(mlp([1000, 1]))
    seen: list[torch.Tensor] = []
    network[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.ones(20, 1000))
    network.eval()(torch.ones(1, 1000))
    assert seen[0].unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert float((seen[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert (seen[1] == 1).all()


def test_hidden_units_are_dropped_after_every_activation_and_parameters_keep_their_names() -> None:
    plain, rows = mlp([4, 500, 500, 1]), torch.randn(8, 4)
    names, expected = list(plain.state_dict()), plain(rows)
    network = HiddenDropout(share=0.5).wrap(plain)
    hidden: list[torch.Tensor] = []
    for layer in (network[2], network[4]):
        layer.register_forward_pre_hook(lambda module, inputs: hidden.append(inputs[0]))
    network(rows)
    assert [float((each == 0).float().mean()) for each in hidden] == [pytest.approx(0.5, abs=0.05)] * 2
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network.eval()(rows), expected)


def test_a_network_without_hidden_units_is_refused() -> None:
    with pytest.raises(InputError, match="hidden_dropout"):
        source(replace(SMALL, hidden=()), (HiddenDropout(share=0.5),))


@pytest.mark.parametrize("share", [1.0, -0.1])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    for name in ("input_dropout", "hidden_dropout"):
        with pytest.raises(InputError, match=name):
            PenaltyConfig(**{name: share})


def test_weight_decay_is_decoupled() -> None:
    config, batch = replace(SMALL, updates_per_rollout=1), random_transitions(100, center=0.0)
    sources = [source(config), source(replace(config, weight_decay=2.0))]
    begin = [each.detach().clone() for each in sources[0].network.parameters()]
    for each in sources:
        torch.manual_seed(1)
        each.update(batch)
    for first, plain, decayed in zip(begin, *(each.network.parameters() for each in sources), strict=True):
        torch.testing.assert_close(decayed, plain - SMALL.learning_rate * 2.0 * first)


def test_mixup_replaces_the_loss_and_its_discriminator_is_less_sure() -> None:
    policy = random_transitions(200, center=-1.0)
    gaps = []
    for mixup in (False, True):
        gail = source(replace(SMALL, mixup=mixup))
        for _ in range(20):
            loss = float(gail.update(policy)["loss"])
        logit = [gail.logit(gail.inputs(rows)).detach().mean() for rows in (gail.demonstrations, policy)]
        gaps.append(float(logit[0] - logit[1]))
    assert 0.4 < loss < 0.6, "½ nat is the least that labels uniform in [0, 1] allow"
    assert 0 < gaps[1] < 0.7 * gaps[0]


@pytest.mark.parametrize("divergence", ["wasserstein", "least_squares", "f_kl"])
def test_mixup_needs_a_logistic_loss(divergence: str) -> None:
    with pytest.raises(InputError, match="mixup"):
        AdversarialConfig(divergence=divergence, mixup=True)


def test_a_regularized_discriminator_that_was_loaded_learns_on_bit_for_bit() -> None:
    def make(seed: int) -> Adversarial:
        config = replace(REGULARIZED.discriminator, hidden=(16,), batch_size=32)
        return source(config, tuple(REGULARIZED.penalties.chosen()), seed)

    first, second, batch = make(0), make(1), random_transitions(100, center=0.0)
    first.update(batch)
    tree, tensors = encode(first.state_dict())
    second.load_state_dict(decode(tree, tensors))
    random = torch.get_rng_state()
    outcomes = []
    for each in (first, second):
        torch.set_rng_state(random)
        metrics = each.update(batch)
        outcomes.append((each.reward(batch), *metrics.values()))
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))
    assert torch.equal(first.reward(batch), first.reward(batch)), "rewards see every input and unit"


def test_the_tuned_settings_are_a_change_of_the_off_policy_ones() -> None:
    dropped, hidden, *rest = REGULARIZED.penalties.chosen()
    assert (dropped, hidden, rest[0]) == (InputDropout(share=0.24), HiddenDropout(share=0.48), SpectralNorm())
    assert replace(REGULARIZED, discriminator=OFF_POLICY.discriminator, penalties=OFF_POLICY.penalties) == OFF_POLICY
