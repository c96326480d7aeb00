"""Settings that others leave without effect are refused, and no others."""

from dataclasses import dataclass, field

import pytest

from rlgen.errors import InputError
from rlgen.idle import require_read, setting


@dataclass(frozen=True, kw_only=True)
class Inner:
    weight: float = 0.0
    center: float = setting(1.0, "weight")


@dataclass(frozen=True, kw_only=True)
class Outer:
    kind: str = "plain"
    size: int = setting(5, "kind", "round", "oval")
    inner: Inner = field(default_factory=lambda: Inner(center=3.0))
    share: float = setting(0.5, "inner.weight")


@pytest.mark.parametrize(
    "config", [Outer(), Outer(kind="oval", size=7), Outer(inner=Inner(weight=2.0, center=4.0), share=0.1)]
)
def test_settings_that_are_read_and_defaults_of_a_group_are_accepted(config: Outer) -> None:
    require_read(config, "--outer.")
    assert config.size != 5 or config.kind == "plain"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            Outer(size=7),
            "expected --outer.kind round or oval for --outer.size; got --outer.size 7 with --outer.kind plain, where "
            "it has no effect; leave --outer.size out, or change --outer.kind",
        ),
        (Outer(inner=Inner(center=1.0)), "expected --outer.inner.weight, above 0 or on, for --outer.inner.center"),
        (Outer(share=0.1), "got --outer.share 0.1 with --outer.inner.weight 0.0"),
    ],
)
def test_a_setting_without_effect_names_the_one_it_needs(config: Outer, said: str) -> None:
    with pytest.raises(InputError) as refused:
        require_read(config, "--outer.")
    assert said in str(refused.value)
