"""A table of texts with its notes, written as Markdown or as LaTeX, or shown on a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlgen.reports.tables import Row, Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "|": r"\textbar{}", "…": r"\ldots{}", "→": r"$\to$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "–": "--", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "½": r"$\frac{1}{2}$",
}  # fmt: skip
"""Signs that LaTeX reads as commands, or does not know, and their spelling."""
TAG = re.compile(r"<(?=[a-zA-Z/!?])")
NUMBER = re.compile(r"[-−+–]?[\d.,]+|–")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of texts."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str]] = ()
    notes: tuple[str, ...] = ()
    """Sentences below it, in which **two stars** emphasize."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.notes)

    def markdown(self) -> str:
        """The table, its notes as a list below it."""
        lines = [f"| {' | '.join(map(_in_markdown, row))} |" for row in (self.head, *self.rows)]
        lines.insert(1, f"|{'---|' * len(self.head)}")
        listed = ["", *(f"- {without_tags(note)}" for note in self.notes)] if self.notes else []
        return "\n".join([*(lines if self.rows else []), *listed, ""])

    def latex(self) -> str:
        """A tabular with the rules of booktabs."""
        kinds = "".join("r" if self._is_of_numbers(column) else "l" for column in range(len(self.head)))
        lines = [f"{_row_of(' & '.join(map(in_latex, row)))} \\\\" for row in (self.head, *self.rows)]
        begin, end = rf"\begin{{tabular}}{{{kinds}}}", r"\end{tabular}"
        return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end, ""])

    def shown(self, kind: str = "") -> Table:
        """The table of a page; the first column is the name of each row."""
        names = self.head[1:]
        return Table([Row(name=row[0], more=dict(zip(names, row[1:], strict=True)), kind=kind) for row in self.rows])

    def without_empty_columns(self) -> "Grid":
        """The same without columns in which no row has a text."""
        kept = [i for i in range(len(self.head)) if any(row[i] not in ("", "–") for row in self.rows)]
        rows = [tuple(row[i] for i in kept) for row in self.rows]
        return Grid(title=self.title, head=tuple(self.head[i] for i in kept), rows=rows, notes=self.notes)

    def _is_of_numbers(self, column: int) -> bool:
        texts = [row[column] for row in self.rows if row[column]]
        return bool(texts) and all(NUMBER.match(text) for text in texts)


def in_latex(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(LATEX.get(sign, sign) for sign in text)


def _row_of(text: str) -> str:
    """A row that begins with [ or * would be an argument of the line break before it."""
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _in_markdown(text: str) -> str:
    return without_tags(text).replace("|", "\\|").replace("\n", " ")


def without_tags(text: str) -> str:
    """The text for Markdown, where < before a letter would begin a tag of HTML."""
    return TAG.sub(r"\<", text)
