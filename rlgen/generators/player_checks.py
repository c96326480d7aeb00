"""Checks of what a model gives `Trainer`: its players, and the terms that their losses return."""

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel, Player


def players_of(model: GenerativeModel) -> tuple[Player, ...]:
    """The players of a model. Raises `InputError` unless they are one or more `Player`, with distinct names and losses
    of data and labels."""
    kind = type(model).__name__
    if not isinstance(model, GenerativeModel):
        remedy = "make it a subclass of rlgen.generators.ImageModel"
        raise problem("a model with players (ImageModel or another GenerativeModel)", kind, remedy)
    found: Any = model.players()
    if not isinstance(found, Sequence) or not all(isinstance(each, Player) for each in found):
        kinds = [type(each).__name__ for each in found] if isinstance(found, Sequence) else type(found).__name__
        got = str(kinds).replace("'", "")
        raise problem(f"a list of Player from {kind}.players()", got, "return [Player(name, parameters, loss, rate)]")
    names = [player.name for player in found]
    if not names or len(set(names)) < len(names):
        raise problem("players with distinct names", f"{names}", "give each player its own name")
    for player in found:
        _require_loss(player)
    return tuple(found)


def _require_loss(player: Player) -> None:
    """Raise `InputError` unless the loss can be called with data and labels."""
    expected, remedy = f"a loss of (data, labels) for {player.name}", "define it as loss(self, data, labels=None)"
    if not callable(player.loss):
        raise problem(expected, f"a {type(player.loss).__name__}", remedy)
    try:
        signature = inspect.signature(player.loss)
    except (TypeError, ValueError):  # of a function that is not written in Python
        return
    try:
        signature.bind(None, None)
    except TypeError:
        raise problem(expected, f"one of {signature}", remedy) from None


def require_terms(player: Player, terms: Any) -> None:
    """Raise `InputError` unless a loss returned scalars by name, of which "loss" has a gradient."""
    expected = f'a dict of scalars with the key "loss" from the loss of {player.name}'
    if not isinstance(terms, dict):
        got = f"a {type(terms).__name__}"
        raise problem(expected, got, 'return {"loss": loss}')
    if "loss" not in terms:
        raise problem(expected, f"the keys {', '.join(map(str, terms)) or 'none'}", 'name the minimized one "loss"')
    for name, value in terms.items():
        if not isinstance(value, Tensor):
            raise problem(expected, f"a {type(value).__name__} as {name}", "return tensors, without .item()")
        if value.ndim:
            raise problem(expected, f"the shape {list(value.shape)} as {name}", "take its mean over the images")
    loss = terms["loss"]
    if not loss.requires_grad:
        got = f"a constant of {loss.dtype}, without gradient"
        remedy = "compute it from the model's outputs, without .detach(), .item() or torch.no_grad()"
        raise problem(f'a "loss" of {player.name} that depends on its parameters', got, remedy)
    gate = player.gate
    if gate is not None and gate not in terms:
        raise problem(f"the gate {gate!r} among the terms of {player.name}", ", ".join(terms), "return it, as 1 or 0")


def require_gradients(player: Player) -> None:
    """Raise `InputError` if none of a player's parameters got a gradient from its loss."""
    if all(parameter.grad is None for parameter in player.trained):
        got = f"one that depends on none of its {len(player.trained)} tensors"
        remedy = "compute it from them, or give the player the parameters that its loss uses"
        raise problem(f'a "loss" of {player.name} that depends on its parameters', got, remedy)
