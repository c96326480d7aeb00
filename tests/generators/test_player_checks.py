"""Faults of a model of one's own are said in three parts, by the name of the player."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.generators import ImageModel, ImageShape, Player, Trainer

IMAGES = torch.rand(4, 1, 2, 2)


class Mine(ImageModel):
    """A model whose loss, players and gate are those of the test."""

    def __init__(self, loss: Any, players: Callable[["Mine"], Any] | None = None, gate: str | None = None):
        super().__init__(ImageShape(channels=1, height=2, width=2))
        self.layer, self.other, self.given, self.made, self.gate = nn.Linear(4, 1), nn.Linear(4, 1), loss, players, gate

    def players(self) -> Any:
        if self.made is not None:
            return self.made(self)
        return [Player("mine", self.layer.parameters(), self.loss, 1e-3, gate=self.gate)]

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Any:
        return self.given(self, images.flatten(1))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda model, rows: model.layer(rows).mean(), 'the key "loss" from the loss of mine; got a Tensor; return'),
        (lambda model, rows: None, "got a NoneType"),
        (lambda model, rows: {"nll": model.layer(rows).mean()}, "got the keys nll; name the minimized one"),
        (lambda model, rows: {"loss": model.layer(rows)}, r"got the shape \[4, 1\] as loss; take its mean"),
        (lambda model, rows: {"loss": model.layer(rows).mean(), "std": rows.std(0)}, r"the shape \[4\] as std"),
        (lambda model, rows: {"loss": model.layer(rows).mean().item()}, "got a float as loss; return tensors"),
        (lambda model, rows: {"loss": model.layer(rows).mean().detach()}, "depends on its parameters; got a constant"),
        (lambda model, rows: {"loss": (model.layer(rows) > 0).sum()}, "got a constant of torch.int64"),
        (lambda model, rows: {"loss": model.other(rows).mean()}, "got one that depends on none of its 2 tensors"),
    ],
    ids=["tensor", "none", "no loss", "not scalar", "term", "float", "detached", "count", "others' parameters"],
)
def test_what_is_no_loss_is_said(loss: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Trainer(Mine(loss)).update(IMAGES)


def test_a_missing_gate_is_said() -> None:
    with pytest.raises(InputError, match="the gate 'ready' among the terms of mine"):
        Trainer(Mine(lambda model, rows: {"loss": model.layer(rows).mean()}, gate="ready")).update(IMAGES)


def player(model: Mine, **changed: Any) -> Player:
    settings = {"name": "mine", "parameters": model.parameters(), "loss": model.loss, "learning_rate": 1e-3}
    return Player(**(settings | changed))


@pytest.mark.parametrize(
    ("players", "said"),
    [
        (lambda model: None, r"a list of Player from Mine.players\(\); got NoneType"),
        (lambda model: [], r"players with distinct names; got \[\]"),
        (player, r"a list of Player from Mine.players\(\); got Player"),
        (lambda model: [model.layer], r"got \[Linear\]"),
        (lambda model: [player(model, loss=None)], "a loss of .* for mine; got a NoneType"),
        (lambda model: [player(model, loss=lambda images: {})], r"got one of \(images\); define it as loss"),
        (lambda model: [player(model, parameters=model.layer)], "parameters for the player mine; got Linear; give"),
        (lambda model: [player(model, parameters=model.named_parameters())], "got tuple"),
        (lambda model: [player(model, parameters=model.layer.weight)], "got Parameter"),
        (lambda model: [player(model, learning_rate="1e-3")], "a positive learning rate for mine; got '1e-3'"),
    ],
    ids=["none", "empty", "one", "module", "no loss", "one argument", "module's", "named", "one tensor", "text"],
)
def test_what_is_no_player_is_said_before_the_training(players: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Trainer(Mine(None, players))


def test_a_module_without_players_is_no_model() -> None:
    with pytest.raises(InputError, match=r"a model with players .*; got Linear; make it a subclass"):
        Trainer(nn.Linear(1, 1))  # type: ignore[type-var]
