"""Language models: their probabilities are a distribution, samples follow it, and a known text is learned."""

import itertools
import math
from typing import Any, get_args

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators import LanguageModel, LanguageModelConfig, Sampling, Trainer, TrainerConfig
from rlgen.generators.language_model import Network, window_start
from rlgen.generators.text_sampling import sample_tokens

SMALL: dict[str, Any] = {"context": 8, "width": 16, "depth": 2, "heads": 2}


@pytest.fixture(params=get_args(Network))
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """A model of 3 tokens, with weights so large that its distributions are far from uniform."""
    torch.manual_seed(0)
    made = LanguageModel(3, LanguageModelConfig(network=request.param, **SMALL)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def test_probabilities_of_all_strings_of_a_length_sum_to_one(model: LanguageModel) -> None:
    for length in (1, 2, 3):
        strings = torch.tensor(list(itertools.product(range(3), repeat=length)))
        total = model.log_prob(strings).double().sum(1).exp().sum()
        torch.testing.assert_close(total, torch.tensor(1.0, dtype=torch.float64), atol=1e-5, rtol=0)


def test_the_loss_is_the_mean_of_minus_the_log_probabilities(model: LanguageModel) -> None:
    tokens = torch.randint(3, (4, 8))
    torch.testing.assert_close(model.loss(tokens)["loss"], -model.log_prob(tokens).mean())


def test_a_later_token_never_changes_an_earlier_probability(model: LanguageModel) -> None:
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    for place in range(8):
        changed = tokens.clone()
        changed[:, place] = 1
        assert torch.equal(model.log_prob(changed)[:, :place], model.log_prob(tokens)[:, :place])


def test_no_later_token_is_seen_in_windows_of_a_usual_length() -> None:
    torch.manual_seed(0)  # torch's kernel works in blocks, so that short windows prove little
    model = LanguageModel(256, LanguageModelConfig(context=256, width=64, depth=2, heads=1)).eval()
    tokens = torch.randint(256, (1, 256))
    before, changed = model.log_prob(tokens), tokens.clone()
    for place in (1, 31, 32, 127, 128, 255):
        changed[:, place:] = torch.randint(256, (1, 256 - place))
        torch.testing.assert_close(model.log_prob(changed)[:, :place], before[:, :place], atol=1e-5, rtol=0)
        changed = tokens.clone()


def test_samples_with_a_cache_equal_those_without_beyond_the_context(model: LanguageModel) -> None:
    prompt = torch.tensor([0, 2, 1])
    found = []
    for cached in (True, False):
        torch.manual_seed(5)
        found.append(sample_tokens(model, 4, 30, prompt, cached=cached))
    assert torch.equal(*found)
    assert found[0].shape == (4, 30)


def test_samples_have_the_frequencies_of_their_probabilities(model: LanguageModel) -> None:
    torch.manual_seed(1)
    drawn = sample_tokens(model, 4_000, 2)
    strings = torch.tensor(list(itertools.product(range(3), repeat=2)))
    expected = model.log_prob(strings).sum(1).exp()
    found = torch.stack([(drawn == string).all(1).float().mean() for string in strings])
    assert ((found - expected).abs() < 5 * (expected / 4_000).sqrt() + 1e-3).all()


def test_a_temperature_of_zero_and_a_single_candidate_take_the_most_probable_token(model: LanguageModel) -> None:
    expected = sample_tokens(model, 1, 12, sampling=Sampling(temperature=0))
    assert torch.equal(sample_tokens(model, 1, 12, sampling=Sampling(top_k=1)), expected)
    first = model.logits(model.started(torch.empty(1, 0, dtype=torch.int64)))[0, -1].argmax()
    assert expected[0, 0] == first


def test_improbable_tokens_are_not_drawn_from_the_top() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0]]).expand(200, -1)
    assert set(Sampling(top_k=2).draw(logits).tolist()) == {0, 2}


def test_windows_restart_at_multiples_of_half_the_limit_and_never_exceed_it() -> None:
    for limit in (2, 3, 8, 9):
        starts = [window_start(place, limit) for place in range(50)]
        assert starts == sorted(starts)
        assert all(place - start + 1 <= limit for place, start in enumerate(starts))
        assert all(place - start >= limit // 2 for place, start in enumerate(starts) if place >= limit // 2)
    assert window_start(1_000, None) == 0


@pytest.mark.parametrize("network", get_args(Network))
def test_a_periodic_text_is_learned(network: Network) -> None:
    torch.manual_seed(0)
    model = LanguageModel(
        3, LanguageModelConfig(network=network, learning_rate=1e-2 if network == "gpt2" else 3e-2, **SMALL)
    )
    game = Trainer(model, TrainerConfig(clip=1.0, warm_up=5, decay="linear"), updates=200)
    text = torch.tensor([0, 1, 2, 1]).repeat(20)
    for _ in range(200):
        starts = torch.randint(60, (16, 1))
        game.update(text[starts + torch.arange(8)])
    with game.evaluating() as learned:
        # The first token has entropy, and the token after a first 1 too: it is a 0 or a 2.
        assert -learned.log_prob(text[None, :8])[0, 2:].mean() < 0.1
        written = sample_tokens(learned, 1, 12, torch.tensor([0, 1]), Sampling(temperature=0))[0].tolist()
    assert written == [2, 1, 0, 1] * 3


def test_the_learning_rate_rises_and_then_falls_to_zero() -> None:
    config = TrainerConfig(warm_up=4, decay="linear")
    shares = [config.share(step, 100) for step in range(101)]
    assert shares[0] == 0.2
    assert shares[4] == pytest.approx(0.96)
    assert shares[50] == 0.5
    assert shares[100] == 0


def test_a_linear_decay_needs_a_length() -> None:
    game = Trainer(LanguageModel(3, LanguageModelConfig(**SMALL)), TrainerConfig(decay="linear"))
    with pytest.raises(InputError, match="the number of updates that a linear decay ends after"):
        game.update(torch.zeros(2, 8, dtype=torch.int64))


def test_only_matrices_decay() -> None:
    model = LanguageModel(3, LanguageModelConfig(weight_decay=0.5, **SMALL))
    groups = Trainer(model).optimizers["likelihood"].param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0]
    assert {each.ndim for each in groups[0]["params"]} == {2}
    assert {each.ndim for each in groups[1]["params"]} == {1}


def test_weights_of_the_last_layer_are_those_of_the_embedding() -> None:
    model = LanguageModel(5, LanguageModelConfig(**SMALL))
    matrices = [name for name, each in model.named_parameters() if 5 <= each.shape[0] <= 6]
    assert matrices == ["embedding.weight"]


def test_initial_predictions_are_nearly_uniform() -> None:
    torch.manual_seed(0)
    model = LanguageModel(50, LanguageModelConfig(**SMALL))
    assert model.loss(torch.randint(50, (8, 8)))["loss"].item() == pytest.approx(math.log(50), abs=0.1)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"network": "gru"}, "network one of transformer, gpt2, lstm"),
        ({"context": 1}, "context of at least 2"),
        ({"width": 10, "heads": 4}, "twice the number of heads"),
        ({"dropout": 1.0}, "dropout of at least 0 and below 1"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        LanguageModelConfig(**settings)
