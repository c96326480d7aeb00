"""What an optimizer remembers is looked at before a step works on its memory."""

import inspect
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

import rlgen
from rlgen import agents
from rlgen.errors import InputError
from rlgen.nn.optimizer_state import load_optimizer


def stepped(kind: type = torch.optim.Adam, **settings: Any) -> torch.optim.Optimizer:
    weights = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(2))]
    optimizer = kind(weights, lr=0.1, **settings)
    sum(weight.square().sum() for weight in weights).backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.AdamW, {}),
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.SGD, {}),
        (torch.optim.RMSprop, {"centered": True}),
        (torch.optim.Adafactor, {}),
    ],
)
def test_the_state_of_the_same_optimizer_is_taken_as_a_copy(kind: type, settings: dict[str, Any]) -> None:
    one, other = stepped(kind, **settings), stepped(kind, **settings)
    state = one.state_dict()
    before = deepcopy(state)
    load_optimizer(other, state)
    other.step()
    for number, remembered in before["state"].items():
        for name, value in remembered.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(state["state"][number][name], value), "moved by the step of another"


def test_an_optimizer_that_has_not_stepped_is_taken_too() -> None:
    fresh = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], fused=True)
    load_optimizer(fresh, torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], fused=True).state_dict())
    assert not fresh.state


DAMAGES = {
    "shape [0]": lambda state: state["state"][0].update(exp_avg=torch.ones(0)),
    "whole numbers": lambda state: state["state"][0].update(exp_avg=torch.ones(3, 2, dtype=torch.int32)),
    "transposed": lambda state: state["state"][0].update(exp_avg_sq=torch.ones(2, 3)),
    "one number": lambda state: state["state"][0].update(exp_avg=torch.ones(())),
    "no tensor": lambda state: state["state"][0].update(exp_avg=[0.0]),
    "missing": lambda state: state["state"][1].pop("exp_avg_sq"),
    "infinite": lambda state: state["state"][1]["exp_avg_sq"].fill_(torch.inf),
    "NaN": lambda state: state["state"][1]["exp_avg"].fill_(torch.nan),
    "two steps": lambda state: state["state"][1].update(step=torch.ones(2)),
    "step as text": lambda state: state["state"][1].update(step="1"),
    "rate as text": lambda state: state["param_groups"][0].update(lr="fast"),
    "infinite rate": lambda state: state["param_groups"][0].update(lr=torch.inf),
    "one beta": lambda state: state["param_groups"][0].update(betas=[0.9]),
    "another switch": lambda state: state["param_groups"][0].update(maximize=True),
    "switch as number": lambda state: state["param_groups"][0].update(amsgrad=3),
    "no rate": lambda state: state["param_groups"][0].pop("lr"),
    "no groups": lambda state: state.pop("param_groups"),
    "other parameters": lambda state: state["param_groups"][0].update(params=[0]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_foreign_state_is_refused_in_three_parts(damage: str) -> None:
    optimizer = stepped(fused=True)
    state = deepcopy(optimizer.state_dict())
    DAMAGES[damage](state)
    with pytest.raises(InputError, match=r"expected the state of the same optimizer; got .*; load"):
        load_optimizer(optimizer, state)


def test_how_a_machine_computes_is_not_taken_from_a_state() -> None:
    """A GPU's switches in a run that goes on without one, or damage, would end the next step."""
    optimizer = stepped(fused=True)
    state = deepcopy(optimizer.state_dict())
    state["param_groups"][0].update(fused=None, capturable=True, foreach=True)
    load_optimizer(optimizer, state)
    group = optimizer.param_groups[0]
    assert (group["fused"], group["capturable"], group["foreach"]) == (True, False, None)
    optimizer.step()


def test_every_optimizer_of_the_library_is_loaded_so() -> None:
    for package in (rlgen, agents):
        for file in Path(inspect.getfile(package)).parent.rglob("*.py"):
            if file.name != "optimizer_state.py":
                assert not re.search(r"optimi[sz]er\w*\.load_state_dict", file.read_text()), file
