"""The speaker: its likelihoods are a distribution, its decoding reads nothing twice, and it names what is in front."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from rlgen.data.cells import ahead
from rlgen.data.instructed_episodes import InstructedEpisodes, RowBatches
from rlgen.errors import InputError
from rlgen.generators import Sampling, Trainer, TrainerConfig
from rlgen.generators.instruction_model import VIEW
from rlgen.generators.speaker import Speaker, SpeakerConfig
from rlgen.nn.cross_modal import FRONT, SIDE
from rlgen.nn.padding import PADDING
from tests.data.instructed import ACTIONS, LENGTH, WORDS, demonstrations

SMALL: dict[str, Any] = {"width": 16, "depth": 2, "heads": 2}


def made(vocabulary: int = WORDS, length: int = LENGTH) -> Speaker:
    """A speaker with weights so large that its distributions are far from uniform."""
    torch.manual_seed(0)
    model = Speaker(vocabulary, length, ACTIONS, SpeakerConfig(**SMALL)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def trajectories(episodes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    found = InstructedEpisodes.of(demonstrations(episodes, seed))
    return found.trajectories().long(), found.words.long()


@torch.no_grad()
def test_probabilities_of_all_instructions_sum_to_one_with_those_that_go_on() -> None:
    model = made(vocabulary=3, length=3)
    steps, _ = trajectories(1)
    every = [each for length in range(4) for each in itertools.product((1, 2), repeat=length)]
    words = torch.tensor([[*each, *[0] * (3 - len(each))] for each in every])
    total = (-model.word_nll(steps.expand(len(words), -1, -1), words).sum(1).double()).exp().sum()
    goes_on = torch.zeros((), dtype=torch.float64)
    for prefix in itertools.product((1, 2), repeat=4):
        given = model.started(torch.tensor([prefix]))[:, :-1]
        log_prob = model.logits(given, *model.encode(steps)).log_softmax(-1)
        goes_on += log_prob[0, range(4), prefix].double().sum().exp()
    torch.testing.assert_close(total + goes_on, torch.ones((), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(temperature=2.0, top_k=5)])
def test_writing_with_a_cache_is_writing_without_one(sampling: Sampling) -> None:
    model, (steps, _) = made(), trajectories(6)
    found = []
    for cached in (True, False):
        torch.manual_seed(1)
        found.append(model.write(steps, sampling, cached))
    assert torch.equal(*found)
    assert found[0].shape == (6, LENGTH)
    ended = (found[0] == 0).cumsum(1) > 0
    assert (found[0][ended] == 0).all()


@torch.no_grad()
def test_the_greedy_instruction_has_the_most_probable_word_each_time() -> None:
    model, (steps, _) = made(), trajectories(6)
    words = model.write(steps)
    best = model.logits(model.started(words), *model.encode(steps)).argmax(-1)
    there = torch.nn.functional.pad(words != 0, (1, 0), value=True)[:, :LENGTH]
    assert torch.equal(best[:, :LENGTH][there], words[there])


@torch.no_grad()
def test_padding_of_a_trajectory_changes_nothing() -> None:
    model, (steps, words) = made(), trajectories(3)
    longer = torch.nn.functional.pad(steps, (0, 0, 0, 3))
    longer[:, -3:, VIEW] = PADDING
    longer[:, -3:, 0] = 7
    torch.testing.assert_close(model.word_nll(longer, words), model.word_nll(steps, words))


@torch.no_grad()
def test_the_loss_is_a_mean_over_words_and_ends() -> None:
    model, (steps, words) = made(), trajectories(3)
    nll = model.word_nll(steps, words)
    assert (nll[:, 6:] == 0).all()
    torch.testing.assert_close(model.loss(steps, words)["loss"], nll.sum() / (3 * 6))


@pytest.mark.slow
def test_it_writes_the_instructions_of_new_trajectories() -> None:
    torch.manual_seed(0)
    model = Speaker(WORDS, LENGTH, ACTIONS, SpeakerConfig(dropout=0.0))
    trainer = Trainer(model, TrainerConfig(clip=1.0, warm_up=30, decay="linear"), updates=200)
    for _, batch in zip(range(200), RowBatches(*trajectories(200), size=32), strict=False):
        trainer.update(*batch)
    steps, words = trajectories(100, seed=1)
    with trainer.evaluating():
        assert (model.write(steps) == words).all(1).float().mean() > 0.8


def test_a_speaker_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="a vocabulary of padding and a word"):
        Speaker(1, LENGTH, ACTIONS)


def test_the_cell_in_front_is_the_one_that_the_agent_acts_on() -> None:
    views = np.random.default_rng(0).integers(0, 100, (5, SIDE, SIDE, 3))
    assert (views.reshape(5, -1, 3)[:, FRONT] == ahead(views)).all()
