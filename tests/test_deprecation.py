"""Settings that have moved keep their old names for one version: as keywords, in JSON and as options."""

import logging
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from rlgen.deprecation import present_options, renamed_fields
from rlgen.errors import InputError
from rlgen.runs.config import from_json, to_json


@dataclass(frozen=True, kw_only=True)
class Inner:
    weight: float = 0.0
    widths: tuple[int, ...] = (8, 8)
    norm: bool = False


@renamed_fields(old_weight="inner.weight", norm="inner.norm", speed="rate")
@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=lambda: Inner(weight=1.0))
    rate: float = 1.0


@renamed_fields()
@dataclass(frozen=True, kw_only=True)
class Special(Outer):
    extra: int = 0


@dataclass(frozen=True, kw_only=True)
class Command:
    outer: Special = field(default_factory=Special)


@pytest.mark.parametrize("kind", [Outer, Special])
def test_old_keywords_fill_the_present_fields_with_a_warning(kind: type[Outer]) -> None:
    with pytest.warns(DeprecationWarning, match=r"old_weight is now inner\.weight"):
        made = kind(old_weight=3.0, speed=2.0)  # type: ignore[call-arg]
    assert made == kind(inner=Inner(weight=3.0), rate=2.0)
    with pytest.warns(DeprecationWarning, match="norm is now"):
        assert replace(made, norm=True).inner == Inner(weight=3.0, norm=True)  # type: ignore[call-arg]


def test_old_names_in_json_are_the_present_fields(caplog: pytest.LogCaptureFixture) -> None:
    """What old names do not say is the default of the class that had them, not of the group they moved to."""
    with caplog.at_level(logging.INFO, "rlgen"):
        assert from_json(Command, {"outer": {"norm": True, "rate": 2.0}}) == Command(
            outer=Special(inner=Inner(weight=1.0, norm=True), rate=2.0)
        )
    assert [record.message for record in caplog.records] == [
        "Special: norm is now inner.norm; the next version does not know the old names"
    ]
    assert from_json(Special, {"old_weight": 0.0, "inner": {"widths": [4]}}).inner == Inner(widths=(4,))
    assert from_json(Command, to_json(Command())) == Command()


def test_json_that_fits_neither_name_is_refused() -> None:
    with pytest.raises(InputError, match="inner of the type"):
        from_json(Special, {"old_weight": 1.0, "inner": 5})
    with pytest.raises(InputError, match="old_wait"):
        from_json(Special, {"old_wait": 1.0})


def test_old_options_are_the_present_ones(caplog: pytest.LogCaptureFixture) -> None:
    typed = ["--outer.old_weight=2", "--outer.no-norm", "--outer.speed", "--outer.rate", "word"]
    with caplog.at_level(logging.WARNING, "rlgen"):
        assert present_options(Command, typed) == [
            "--outer.inner.weight=2", "--outer.inner.no-norm", "--outer.rate", "--outer.rate", "word",
        ]  # fmt: skip
        assert present_options(Command, ["--outer.inner.norm"]) == ["--outer.inner.norm"]
    assert len(caplog.records) == 1


@renamed_fields(learn="likelihood")
@dataclass(frozen=True, kw_only=True)
class Choice:
    former_values: ClassVar = {"learn": {False: "fixed", True: "learned"}}

    likelihood: str = "fixed"


@dataclass(frozen=True, kw_only=True)
class Chooser:
    model: Choice = field(default_factory=Choice)


@pytest.mark.parametrize(("before", "now"), [(False, "fixed"), (True, "learned")])
def test_a_switch_that_became_a_choice_keeps_its_meaning(before: bool, now: str) -> None:
    with pytest.warns(DeprecationWarning, match="learn is now likelihood"):
        assert Choice(learn=before).likelihood == now  # type: ignore[call-arg]
    assert from_json(Chooser, {"model": {"learn": before}}).model.likelihood == now
    switch = "--model.learn" if before else "--model.no-learn"
    assert present_options(Chooser, [switch, "--x"]) == [f"--model.likelihood={now}", "--x"]
