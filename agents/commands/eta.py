"""The option --eta: the weight of a curiosity's bonus."""

from collections.abc import Sequence
from typing import Annotated, Literal

from tyro.constructors import PrimitiveConstructorSpec

from rlgen.errors import problem

Weight = float | Literal["auto"] | None


def parse_eta(texts: Sequence[str]) -> Weight:
    """`["0.001"]` as the number, `["auto"]` as it is, and `["None"]` as None."""
    (text,) = texts
    if text in ("auto", "None"):
        return "auto" if text == "auto" else None
    try:
        return float(text)
    except ValueError as error:
        raise problem("a number or auto for --eta", repr(text), "write e.g. --eta 0.001 or --eta auto") from error


Eta = Annotated[
    Weight,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT|auto",
        instance_from_str=parse_eta,
        is_instance=lambda value: value is None or isinstance(value, int | float) or value == "auto",
        str_from_instance=lambda value: [str(value)],
    ),
]
"""η of a curiosity; auto to tune it, None for the curiosity's own default."""
