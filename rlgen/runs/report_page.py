"""The pieces of a report page. Every piece escapes the text it is given and returns HTML."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import rlgen
from rlgen.runs.progress import number
from rlgen.runs.report_style import STYLE

MEDIA = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of returns."""

    name: str
    returns: str
    normalised: float | None = None
    """0 random, 1 expert; draws the bar."""
    failures: float | None = None
    """Share of episodes below half of the expert's return."""
    falls: float | None = None
    """Share of episodes that the task ended early."""
    more: tuple[str, ...] = ()
    """Cells for further columns."""
    kind: str = ""
    """"own" stands out, "part" steps back."""


def page(title: str, body: Sequence[str]) -> str:
    """A whole document that needs nothing from outside."""
    # The policy makes sure of it: even a file name that got past the escaping could not load or run anything.
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + f"\n<footer>rlgen {escape(rlgen.__version__)}</footer>\n</main>\n</body>\n</html>\n"
    )


def header(over: str, title: str, lead: str) -> str:
    """The head of the page. `lead` is HTML, made with `escape` where it holds foreign text."""
    return f'<header><div class="over">{escape(over)}</div><h1>{escape(title)}</h1><p class="lead">{lead}</p></header>'


def section(title: str, content: str, note: str = "") -> str:
    """A heading with a card under it; nothing at all without content."""
    if not content:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section><h2>{escape(title)}</h2><div class="card">{content}{below}</div></section>'


def facts(entries: Sequence[tuple[str, str, str, str]]) -> str:
    """Cards of (name, value, unit, more)."""
    cards = "".join(
        f'<div class="card fact"><div class="name">{escape(name)}</div><div class="value">{escape(value)} '
        f'<small>{escape(unit)}</small></div><div class="more">{escape(more)}</div></div>'
        for name, value, unit, more in entries
    )
    return f'<div class="facts">{cards}</div>'


def returns_table(rows: Sequence[Row], more: Sequence[str] = ()) -> str:
    """Name, return, and as far as any row has them normalised return with its bar, failed and ended early; then the
    columns `more`."""
    columns: dict[str, list[str]] = {"": [row.name for row in rows], "return": [row.returns for row in rows]}
    if scaled := any(row.normalised is not None for row in rows):
        columns["normalised"] = ["–" if row.normalised is None else f"{row.normalised:.3f}" for row in rows]
    if any(row.failures is not None for row in rows):
        columns["failed"] = [percent(row.failures) for row in rows]
    columns["ended early"] = [percent(row.falls) for row in rows]
    for index, name in enumerate(more):
        columns[name] = [row.more[index] if index < len(row.more) else "" for row in rows]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns) + ('<th class="text"></th>' if scaled else "")
    lines = []
    for row, *cells in zip(rows, *columns.values(), strict=True):
        html = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        bar = f'<td class="scale">{_track(row.normalised)}</td>' if scaled else ""
        lines.append(f'<tr class="{escape(row.kind)}">{html}{bar}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def figure(light: bytes, dark: bytes, shows: str) -> str:
    """A PNG in both colour schemes. `shows`: said in its place where pictures are not seen."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{data_uri(dark, ".png")}">'
        f'<img class="curves" alt="{escape(shows)}" src="{data_uri(light, ".png")}"></picture>'
    )


def film(path: Path, caption: str) -> str:
    """A video or an animated picture, embedded."""
    source = data_uri(path.read_bytes(), path.suffix)
    shown = (
        f'<video src="{source}" controls autoplay loop muted playsinline></video>'
        if path.suffix == ".mp4"
        else f'<img src="{source}" alt="The policy acting">'
    )
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"


def entries(values: Mapping[str, Any]) -> str:
    """Names and values of a nested mapping, names joined by dots."""
    pairs = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_text(value))}</dd></div>" for name, value in flat(values).items()
    )
    return f"<dl>{pairs}</dl>" if pairs else ""


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, e.g. {"learner": {"gamma": 0.99}} as {"learner.gamma": 0.99}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return result


def data_uri(data: bytes, suffix: str) -> str:
    """`data` as an address that holds it."""
    return f"data:{MEDIA[suffix]};base64,{base64.b64encode(data).decode()}"


def reading(value: float | None) -> str:
    """A number to read; a dash where it is not known."""
    return "–" if value is None else number(value)


def percent(share: float | None) -> str:
    """22%; a dash where it is not known."""
    return "–" if share is None else f"{share:.0%}"


def spread(mean: float | None, std: float | None) -> str:
    """4,612 ± 88."""
    return reading(mean) if std is None else f"{reading(mean)} ± {number(std)}"


def count(steps: float) -> str:
    """1.0 M, 250 k, 600."""
    if steps >= 1e6:
        return f"{steps / 1e6:,.1f} M"
    return f"{steps / 1e3:,.0f} k" if steps >= 1e4 else f"{steps:,.0f}"


def _track(share: float | None) -> str:
    if share is None:
        return ""
    return f'<div class="track"><i style="width:{100 * min(1.0, max(0.0, share)):.1f}%"></i></div>'


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
