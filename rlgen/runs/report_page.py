"""The pieces of a report page. Every piece escapes the text it is given and returns HTML."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import rlgen
from rlgen.runs.report_style import STYLE
from rlgen.system.console import number

MEDIA = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of returns."""

    name: str
    returns: str
    normalised: float | None = None
    """0 random, 1 the reference; draws the bar."""
    failures: float | None = None
    """Share of episodes below half of the reference's return."""
    terminated: float | None = None
    """Share of episodes that the task ended."""
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
    """Cards of (name, value, unit, more), in rows of which none holds a single one."""
    cards = "".join(
        f'<div class="card fact"><div class="name">{escape(name)}</div><div class="value">{escape(value)} '
        f'<small>{escape(unit)}</small></div><div class="more">{escape(more)}</div></div>'
        for name, value, unit, more in entries
    )
    columns = sorted((4, 3, 5), key=lambda n: (len(entries) % n == 1, len(entries) % n > 0))[0]
    return f'<div class="facts" style="--columns: {columns}">{cards}</div>'


def returns_table(rows: Sequence[Row], more: Sequence[str] = ()) -> str:
    """Name, return, and as far as any row has them normalised return with its bar, failed and ended by the task; then
    the columns `more`."""
    columns: dict[str, list[str]] = {"return": [row.returns for row in rows]}
    if scaled := any(row.normalised is not None for row in rows):
        columns["normalised"] = ["–" if row.normalised is None else f"{row.normalised:.3f}" for row in rows]
    if any(row.failures is not None for row in rows):
        columns["failed"] = [percent(row.failures) for row in rows]
    columns["ended by the task"] = [percent(row.terminated) for row in rows]
    for index, name in enumerate(more):
        columns[name] = [row.more[index] if index < len(row.more) else "" for row in rows]
    bars = [_track(row.normalised) for row in rows] if scaled else ()
    names = [(row.name, row.kind) for row in rows]
    return table(names, columns, bars)


def table(rows: Sequence[tuple[str, str]], columns: Mapping[str, Sequence[str]], bars: Sequence[str] = ()) -> str:
    """Rows of (name, kind) with the cells of `columns`; `bars`: HTML at the end of each row. On a narrow page each row
    is a block, in which every cell has its column's name beside it."""
    heads = [f'<th scope="col">{escape(name)}</th>' for name in columns]
    lines = []
    for index, (name, kind) in enumerate(rows):
        cells = [f'<td data-column="{escape(column)}">{escape(columns[column][index])}</td>' for column in columns]
        bar = f'<td class="scale">{bars[index]}</td>' if bars else ""
        lines.append(f'<tr class="{escape(kind)}"><th scope="row">{escape(name)}</th>{"".join(cells)}{bar}</tr>')
    head = f"<tr><td></td>{''.join(heads)}{'<td></td>' if bars else ''}</tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def figure(light: bytes, dark: bytes, shows: str, narrow: tuple[bytes, bytes] | None = None) -> str:
    """A PNG in both colour schemes. `shows`: said in its place where pictures are not seen; `narrow`: both again, for
    telephones."""
    dark_scheme, small = "(prefers-color-scheme: dark)", "(max-width: 600px)"
    sources = {dark_scheme: dark}
    if narrow is not None:
        sources = {f"{small} and {dark_scheme}": narrow[1], small: narrow[0], **sources}
    others = "".join(
        f'<source media="{media}" srcset="{data_uri(picture, ".png")}">' for media, picture in sources.items()
    )
    image = f'<img class="curves" alt="{escape(shows)}" src="{data_uri(light, ".png")}">'
    return f"<picture>{others}{image}</picture>"


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
