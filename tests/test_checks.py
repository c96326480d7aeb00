"""A configuration's numbers are checked by name, and each message has three parts."""

import dataclasses
import importlib
import math
import pkgutil
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import pytest

import rlgen
from rlgen import checks
from rlgen.errors import InputError


@dataclass
class Config:
    value: Any


@pytest.mark.parametrize(
    ("check", "right", "wrong", "expected"),
    [
        (checks.positive, (1, 1e-9, None), (0, -1), "a positive value"),
        (lambda c, n: checks.at_least(c, 2, n), (2, 3.5, None), (1, 1.9), "value of at least 2"),
        (checks.share, (0, 0.5, 1, None), (-0.1, 1.1), "value between 0 and 1"),
        (checks.below_one, (0, 0.5, None), (-0.1, 1), "value of at least 0 and below 1"),
        (checks.up_to_one, (0.5, 1, None), (0, 1.1), "value above 0 and at most 1"),
    ],
)
def test_numbers_within_bounds_pass_and_others_are_named(check: Any, right: Any, wrong: Any, expected: str) -> None:
    for value in right:
        check(Config(value), "value")
    for value in (*wrong, math.nan, math.inf):
        with pytest.raises(InputError) as told:
            check(Config(value), "value")
        assert str(told.value) == f"expected {expected}; got {value}; leave it out for the default"


def test_widths_are_all_looked_at_and_may_be_none() -> None:
    checks.widths(Config(()), "value")
    checks.widths(Config((1, 64)), "value")
    with pytest.raises(InputError, match=r"value layers of width 1 or more; got \(64, 0\); leave it out"):
        checks.widths(Config((64, 0)), "value")


def test_a_choice_is_one_of_those_that_the_message_lists() -> None:
    checks.one_of(Config("a"), "value", {"a": 1, "b": 2})
    with pytest.raises(InputError, match=r"expected value one of a, b; got 'c'; choose one of these"):
        checks.one_of(Config("c"), "value", ("a", "b"))


def test_a_remedy_of_its_own_takes_the_place_of_the_default() -> None:
    with pytest.raises(InputError, match=r"; use 0 for none$"):
        checks.at_least(Config(-1), 0, "value", remedy="use 0 for none")


def test_every_configuration_refuses_a_choice_that_it_does_not_have() -> None:
    names = [each.name for each in pkgutil.walk_packages(rlgen.__path__, "rlgen.") if "__main__" not in each.name]
    everything = (value for name in names for value in vars(importlib.import_module(name)).values())
    found = {value for value in everything if isinstance(value, type) and value.__name__.endswith("Config")}
    checked, taken = 0, []
    for kind in filter(dataclasses.is_dataclass, found):
        for each in dataclasses.fields(kind):
            literals = [part for part in (each.type, *get_args(each.type)) if get_origin(part) is Literal]
            if not literals or not isinstance(get_args(literals[0])[0], str):
                continue
            checked += 1
            if accepts(kind, each.name, "no such choice"):
                taken.append(f"{kind.__name__}.{each.name}")
    assert not taken, "these take anything; call rlgen.checks.one_of in __post_init__"
    assert checked > 60


def accepts(kind: Any, name: str, value: str) -> bool:
    """Whether the checks of a configuration pass with this value, without those of types that pytest adds to its
    `__init__`."""
    config = object.__new__(kind)
    for each in dataclasses.fields(kind):
        made = each.default_factory() if each.default_factory is not dataclasses.MISSING else each.default
        object.__setattr__(config, each.name, value if each.name == name else made)
    try:
        config.__post_init__()
    except InputError:
        return False
    return True
