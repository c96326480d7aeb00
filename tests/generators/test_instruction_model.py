"""The model of instructions: its losses by hand, and what it learns of a task that is known on paper."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from rlgen.data.instructed_episodes import InstructedEpisodes, RowBatches
from rlgen.errors import InputError
from rlgen.generators import Trainer, TrainerConfig
from rlgen.generators.instruction_model import VIEW, InstructionModel, InstructionModelConfig
from rlgen.nn.cross_modal import CrossModalConfig
from tests.data.instructed import ACTIONS, BALL, GO, LENGTH, RED, THE, TO, WORDS, demonstrations


def made(**settings: Any) -> InstructionModel:
    torch.manual_seed(0)
    network = CrossModalConfig(width=32, depth=2, heads=2)
    return InstructionModel(WORDS, LENGTH, ACTIONS, InstructionModelConfig(network=network, **settings))


def rows(episodes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(each.long() for each in InstructedEpisodes.of(demonstrations(episodes, seed)).triplets())  # type: ignore[return-value]


def test_without_hidden_words_the_loss_is_that_of_the_actions() -> None:
    model, (seen, actions) = made(mask_share=0.0), rows(4)
    terms = model.loss(seen, actions)
    expected = F.cross_entropy(model.action_logits(model.features(seen)), actions)
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["word_loss"].item() == 0


def test_hidden_words_are_words_and_their_loss_starts_near_that_of_guessing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (seen, actions) = made(mask_share=0.99), rows(4)
    passed = []
    features = model.features
    monkeypatch.setattr(model, "features", lambda rows: passed.append(rows) or features(rows))
    terms = model.loss(seen, actions)
    (changed,) = passed
    assert torch.equal(changed[:, :VIEW], seen[:, :VIEW])
    different = changed[:, VIEW:] != seen[:, VIEW:]
    assert not different[seen[:, VIEW:] == 0].any()
    assert (changed[:, VIEW:] == model.network.mask).any()
    assert terms["word_loss"].item() == pytest.approx(math.log(WORDS), abs=0.1)
    torch.testing.assert_close(terms["loss"], terms["word_loss"] + terms["action_loss"])


def test_the_gradient_of_the_losses_reaches_every_weight_that_is_used() -> None:
    model = made(mask_share=0.5)
    model.loss(*rows(8))["loss"].backward()
    silent = [name for name, each in model.named_parameters() if each.grad is None]
    assert silent == []


@pytest.mark.slow
def test_it_learns_when_to_wait_and_what_kind_of_word_is_hidden() -> None:
    model = made(mask_share=0.3, learning_rate=3e-3)
    trainer = Trainer(model, TrainerConfig(clip=1.0, warm_up=20, decay="linear"), updates=120)
    for _, batch in zip(range(120), RowBatches(*rows(200), size=32), strict=False):
        trainer.update(*batch)
    seen, actions = rows(50, seed=1)
    with trainer.evaluating(), torch.no_grad():
        found = model.action_logits(model.features(seen)).argmax(-1)
        assert ((found == 2) == (actions == 2)).float().mean() > 0.95
        ranges = ((GO, GO), (TO, TO), (THE, THE), (RED, RED + 5), (BALL, BALL + 2))
        for place, (first, last) in enumerate(ranges):
            hidden = seen.clone()
            hidden[:, VIEW + place] = model.network.mask
            words = model.word_logits(model.features(hidden))[:, place].argmax(-1)
            assert ((words >= first) & (words <= last)).float().mean() > 0.95


def test_a_task_with_a_single_action_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 actions"):
        InstructionModel(WORDS, LENGTH, 1)
