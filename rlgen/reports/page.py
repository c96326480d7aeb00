"""The contents of a report's page (headline, facts, sections), which `page.html.j2` renders."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import jinja2

import rlgen
from rlgen.reports.tables import Table

MEDIA = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}
DARK_SCHEME, NARROW_SCREEN = "(prefers-color-scheme: dark)", "(max-width: 600px)"


@dataclass(frozen=True, kw_only=True)
class Lead:
    """The sentence under the title."""

    before: str = ""
    strong: str = ""
    after: str = ""
    command: str = ""
    """Command to type, at the end of the sentence."""


@dataclass(frozen=True)
class Fact:
    """A card with one number."""

    name: str
    value: str
    unit: str = ""
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class Media:
    """A video or a picture, embedded."""

    source: str
    caption: str = ""
    alt: str = "The policy acting"
    moving: bool = False

    @classmethod
    def of(cls, path: Path, caption: str) -> Self:
        """The video, or animated picture, of a policy."""
        return cls(source=data_uri(path.read_bytes(), path.suffix), caption=caption, moving=path.suffix == ".mp4")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture with alternatives for other color schemes and screen sizes, chosen by media query."""

    picture: str
    words: str
    """Text alternative."""
    others: Sequence[tuple[str, str]] = ()
    """Pairs (media query, picture); the first match applies."""

    @classmethod
    def of(cls, light: bytes, dark: bytes, words: str, narrow: tuple[bytes, bytes] | None = None) -> Self:
        """PNGs in both color schemes. `narrow`: the same two for phones."""
        pictures = {DARK_SCHEME: dark}
        if narrow is not None:
            pictures = {f"{NARROW_SCREEN} and {DARK_SCHEME}": narrow[1], NARROW_SCREEN: narrow[0], **pictures}
        others = [(media, data_uri(picture, ".png")) for media, picture in pictures.items()]
        return cls(picture=data_uri(light, ".png"), words=words, others=others)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with a card; omitted if it has no content."""

    title: str
    note: str = ""
    table: Table | None = None
    figure: Figure | None = None
    media: Sequence[Media] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """Sentences of a list, in which **two stars** emphasize."""
    copied: Mapping[str, str] = field(default_factory=dict)
    """Texts to copy, by the name on which the reader unfolds them."""
    text: str = ""
    """Plain text, shown with its line breaks."""

    def __bool__(self) -> bool:
        shown = (self.figure, self.media, self.entries, self.notes, self.copied, self.text)
        return bool((self.table and self.table.rows) or any(shown))


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page as one HTML document without external resources."""

    title: str
    over: str
    lead: Lead
    facts: Sequence[Fact] = ()
    sections: Sequence[Section] = ()

    @property
    def columns(self) -> int:
        """Cards per row, chosen so that no row has a single card."""
        n = len(self.facts)
        return sorted((4, 3, 5), key=lambda columns: (n % columns == 1, n % columns > 0))[0]

    def html(self) -> str:
        return _templates().get_template("page.html.j2").render(page=self, version=rlgen.__version__)


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("rlgen.reports", "")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )


def data_uri(data: bytes, suffix: str) -> str:
    """`data` as a data URL."""
    return f"data:{MEDIA[suffix]};base64,{base64.b64encode(data).decode()}"


def entries(values: Mapping[str, Any]) -> dict[str, str]:
    """A nested mapping as readable values, by names joined with dots."""
    return {name: _text(value) for name, value in flat(values).items()}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as a flat one, e.g. {"learner": {"gamma": 0.99}} as {"learner.gamma": 0.99}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return result


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
