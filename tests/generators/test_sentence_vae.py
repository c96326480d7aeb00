"""The sentence VAE: its likelihoods are a distribution, its bound is below the exact one, and its latent is used."""

import itertools
import math
from typing import Any, get_args

import pytest
import torch

from rlgen.data import SentenceBatches
from rlgen.equations.latent_use import active_units
from rlgen.equations.variational_bounds import importance_weighted_bound
from rlgen.errors import InputError
from rlgen.generators import Sampling, SentenceVAE, SentenceVAEConfig, Trainer, TrainerConfig
from rlgen.generators.metrics.sentence_likelihood import SentenceLikelihood, latent_use
from rlgen.generators.sentence_sampling import sample_sentences
from rlgen.generators.sentence_vae import Injection
from rlgen.nn.padding import PADDING, padded, without_padding

SMALL: dict[str, Any] = {"latent": 2, "context": 8, "width": 16, "depth": 2, "heads": 2, "cycles": 0}
ROWS = [torch.tensor(row, dtype=torch.int64) for row in ([0, 1, 1, 0, 1], [1], [], [0, 0, 1])]


def made(**settings: Any) -> SentenceVAE:
    """A model of 2 tokens, with weights so large that its distributions are far from uniform."""
    torch.manual_seed(0)
    model = SentenceVAE(2, SentenceVAEConfig(**{**SMALL, **settings})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.fixture(params=[*get_args(Injection), "gpt2"])
def model(request: pytest.FixtureRequest) -> SentenceVAE:
    return made(network="gpt2") if request.param == "gpt2" else made(injection=request.param)


@torch.no_grad()
def test_probabilities_of_all_sentences_sum_to_one_with_those_that_are_longer(model: SentenceVAE) -> None:
    z = torch.randn(1, 2)
    total = torch.zeros((), dtype=torch.float64)
    for length in range(4):
        sentences = torch.tensor(list(itertools.product(range(2), repeat=length))).view(2**length, length).long()
        total += model.log_likelihood(sentences, z.expand(1, len(sentences), -1)).double().exp().sum()
    goes_on = torch.zeros((), dtype=torch.float64)
    for prefix in itertools.product(range(2), repeat=4):
        log_prob = model.logits(model.started(torch.tensor([prefix]))[:, :-1], z).log_softmax(-1)
        goes_on += log_prob[0, range(4), prefix].double().sum().exp()
    torch.testing.assert_close(total + goes_on, torch.tensor(1.0, dtype=torch.float64), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_bound_is_below_the_exact_likelihood_and_reaches_it_with_many_latents() -> None:
    model = made(latent=1)
    tokens = padded(ROWS)
    grid = torch.linspace(-6, 6, 601)
    given = model.log_likelihood(tokens, grid[:, None, None].expand(-1, len(ROWS), 1)).double()
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid).double()
    exact = (given + prior[:, None]).logsumexp(0) + math.log(12 / 600)
    elbos = model.log_weight(tokens, 300).double()
    error = elbos.std(0) / 300**0.5
    assert (elbos.mean(0) < exact + 4 * error).all()
    assert (elbos.mean(0) + 4 * error < exact).any()
    weights = model.log_weight(tokens, 3_000).double()
    relative = (weights - weights.amax(0)).exp()
    error = relative.std(0) / relative.mean(0) / 3_000**0.5  # of the logarithm of the mean weight
    assert ((importance_weighted_bound(weights) - exact).abs() < 4 * error).all()
    assert (error < 0.1).all()


def test_padding_never_changes_a_likelihood_or_a_posterior(model: SentenceVAE) -> None:
    together, z = padded([*ROWS, torch.zeros(8).long()]), torch.randn(1, 5, 2)
    for row, alone in enumerate(ROWS):
        torch.testing.assert_close(
            model.log_likelihood(together, z)[:, row], model.log_likelihood(alone[None], z[:, row : row + 1])[:, 0]
        )
        torch.testing.assert_close(model.features(together)[row], model.features(alone[None])[0])


@pytest.mark.parametrize("silent", ["memory", "added"])
def test_a_latent_changes_the_output_through_each_path(silent: str) -> None:
    model = made()
    with torch.no_grad():
        for parameter in getattr(model, silent).parameters():
            parameter.zero_()
    tokens = model.started(padded(ROWS))
    one, other = (model.logits(tokens, z) for z in (torch.zeros(4, 2), torch.ones(4, 2)))
    assert (one - other).abs().amax(-1).min() > 1e-3
    assert {made(injection="memory").added, made(injection="embedding").memory} == {None}


def test_the_memory_reaches_every_layer(model: SentenceVAE) -> None:
    if model.memory is None:
        pytest.skip("no memory in this injection")
    parts = model.memory(torch.ones(1, 2)).unflatten(-1, (2, 1, -1))
    before = model.decoder(torch.zeros(1, 3, 16), model.decoder.remembering(parts))
    for layer in range(2):
        changed = parts.clone()
        changed[:, layer] += 1
        after = model.decoder(torch.zeros(1, 3, 16), model.decoder.remembering(changed))
        assert not torch.allclose(before, after)


def test_a_later_token_never_changes_an_earlier_probability(model: SentenceVAE) -> None:
    tokens, z = torch.zeros(1, 6, dtype=torch.int64), torch.randn(1, 2)
    before = model.logits(model.started(tokens), z)
    for place in range(6):
        changed = tokens.clone()
        changed[:, place] = 1
        after = model.logits(model.started(changed), z)
        torch.testing.assert_close(after[:, : place + 1], before[:, : place + 1])
        assert not torch.allclose(after[:, place + 1 :], before[:, place + 1 :])


def test_samples_with_a_cache_equal_those_without(model: SentenceVAE) -> None:
    z, found = torch.randn(6, 2), []
    for cached in (True, False):
        torch.manual_seed(5)
        found.append(sample_sentences(model, z, prompt=torch.tensor([1]), sampling=Sampling(), cached=cached))
    assert torch.equal(*found)
    assert (found[0][:, 0] == 1).all()


@torch.no_grad()
def test_samples_have_the_frequencies_of_their_probabilities(model: SentenceVAE) -> None:
    torch.manual_seed(1)
    z = torch.randn(1, 2)
    drawn = sample_sentences(model, z.expand(4_000, -1), sampling=Sampling())
    for row in ([], [0], [1, 0]):
        expected = model.log_likelihood(torch.tensor([row]).long(), z[None]).exp().item()
        sentence = torch.full((drawn.shape[1],), PADDING)
        sentence[: len(row)] = torch.tensor(row)
        found = (drawn == sentence).all(1).float().mean().item()
        assert abs(found - expected) < 5 * math.sqrt(expected / 4_000) + 1e-3


def test_free_bits_are_charged_and_the_whole_kl_is_logged() -> None:
    tokens, charged = padded(ROWS), []
    for level in (0.0, 5.0):
        model = made(free_bits=level)
        with torch.no_grad():
            model.posterior.head.weight.zero_()
            model.posterior.head.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        torch.manual_seed(0)
        terms = model.loss(tokens)
        length = (sum(map(len, ROWS)) + 4) / 4
        charged.append(float((terms["loss"] * length + terms["log_likelihood"]).detach()))
        assert terms["kl"].item() == pytest.approx(0.5)  # of N(1, 1): below the level, and not masked
        assert terms["elbo"].item() == pytest.approx(terms["log_likelihood"].item() - 0.5, abs=1e-5)
    assert charged == pytest.approx([0.5, 10.0], abs=1e-4)


def test_latents_below_the_free_level_have_no_gradient_of_the_kl() -> None:
    model = made(free_bits=1e3)
    with torch.no_grad():
        for part in (model.memory, model.added):
            part.weight.zero_()  # the likelihood does not depend on the latent
    model.loss(padded(ROWS))["loss"].backward()
    assert model.posterior.head.weight.grad.abs().max() == 0


def test_beta_goes_through_its_cycles_and_is_part_of_a_state() -> None:
    model = made(cycles=2)
    model.total = 16
    trainer = Trainer(model, TrainerConfig())
    betas = [float(trainer.update(padded(ROWS))["vae/beta"]) for _ in range(9)]
    assert betas == [0, 0, 0, 0, 0, 0.5, 1, 1, 0]
    other = Trainer(made(cycles=2))
    other.load_state_dict(trainer.state_dict())
    assert int(other.model.updates) == 9


def test_word_dropout_is_of_training_alone_and_spares_the_start() -> None:
    model = made(word_dropout=0.9)
    tokens = padded(ROWS)
    started = model.started(tokens)
    assert torch.equal(model._with_unknown(started), started)
    changed = model.train()._with_unknown(started)
    assert (changed == model.unknown).any()
    assert torch.equal(changed[:, 0], started[:, 0])
    assert torch.equal(changed == PADDING, started == PADDING)


def test_the_latent_of_a_small_set_is_learned() -> None:
    torch.manual_seed(0)
    rows = [torch.full((6,), token) for token in range(4)]
    config = SentenceVAEConfig(latent=2, context=8, width=32, depth=1, heads=1, cycles=1, learning_rate=5e-3)
    model = SentenceVAE(4, config)
    model.total = 150
    trainer = Trainer(model, TrainerConfig(clip=1.0))
    for _, (tokens,) in zip(range(150), SentenceBatches(rows, 16), strict=False):
        trainer.update(tokens)
    with trainer.evaluating(), torch.no_grad():
        used = latent_use(model, [padded(16 * rows)])
        mean, _ = model.posterior.mean_and_log_std(model.features(padded(rows)))
        written = sample_sentences(model, mean)
        assert int(active_units(mean)) == used["active_units"] == 2
        assert without_padding(written) == [row.tolist() for row in rows]
        assert 0.3 < used["mutual_information"] < math.log(4) + 0.1
        assert used["reconstruction_accuracy"] == 1


def test_units_of_a_likelihood_known_on_paper() -> None:
    found = SentenceLikelihood(torch.tensor([-2.0, -4.0]).double(), tokens=12, words=3, samples=5).units()
    expected = {
        "nll_per_sentence": 3.0,
        "nll_per_sentence_standard_error": 1.0,
        "nll_per_token": 0.5,
        "perplexity": math.exp(2),
    }
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"injection": "none"}, "injection one of"),
        ({"network": "lstm"}, "network one of"),
        ({"latent": 0}, "latent of at least 1"),
        ({"free_bits": -1.0}, "free_bits of at least 0"),
        ({"zero_share": 0.8, "rise_share": 0.4}, "sum to at most 1"),
        ({"rise_share": 0.0}, "rise_share above 0"),
        ({"width": 15}, "a width that is a multiple"),
        ({"word_dropout": 1.0}, "word_dropout of at least 0 and below 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        SentenceVAEConfig(**settings)


def test_a_vocabulary_of_one_token_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 tokens"):
        SentenceVAE(1)
