"""Figures of the curves of one run, or of groups of runs."""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from rlgen.display import Panel
from rlgen.errors import problem
from rlgen.reports.curve_data import Folder, Table, curve_of, not_drawn, panels_for, panels_of, read_tables
from rlgen.reports.page import Figure
from rlgen.reports.panels import (
    DARK,
    LIGHT,
    PRINT,
    Theme,
    draw_panel,
    draw_references,
    legend,
    name_steps,
    style_legend,
)
from rlgen.runs.config import read_object, restored
from rlgen.runs.metrics import read_metrics
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, Reference
from rlgen.system.console import number
from rlgen.system.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LINE_INCHES = 0.22


@dataclass(frozen=True)
class Layout:
    """Layout of a figure: panels per row, its width [inches], heights of a large and of a small panel [inches], and
    letters per line of the legend below it."""

    columns: int
    width: float
    large: float
    small: float
    letters: int


WIDE = Layout(columns=3, width=11, large=4.1, small=2.25, letters=150)
NARROW = Layout(columns=1, width=4.2, large=3.2, small=2.2, letters=55)
"""Layout for phones, on which the wide one would shrink to a third."""


def draw_curves(
    runs: Folder | Mapping[str, Sequence[Folder]],
    path: Folder | None = None,
    references: Mapping[str, float] | None = None,
) -> Path:
    """Draw a PNG. `runs`: one run folder (its curves.png), or label → run folders that differ only in the seed.

    `references`: horizontal lines in the return panel, e.g. `{"expert": 4704.0, "random": -58.0}`; for one run without
    them, those of its result.json. Raises `InputError` if no run has metrics, or for several runs without `path`.
    """
    if not isinstance(runs, Mapping):
        references = references_of(runs) if references is None else references
        path = Path(runs) / "curves.png" if path is None else path
        runs = {"": [runs]}
    if path is None:
        raise problem("a file for the curves of several runs", "no path", "give one, such as comparison.png")
    atomic_write(path, curves_png(runs, references))
    return Path(path)


def curves_png(
    runs: Mapping[str, Sequence[Folder]],
    references: Mapping[str, float] | None = None,
    theme: Theme = PRINT,
    layout: Layout = WIDE,
) -> bytes:
    """The same figure as bytes of a PNG."""
    groups, panels = _drawable(runs)
    if not groups:
        raise problem("a run with metrics", "none in metrics.csv", "train first, or draw another run")
    panels = panels or [Panel("Nothing logged yet", (), large=True)]
    large = sum(panel.large for panel in panels)
    figure, axes = _axes(large, len(panels) - large, layout, 0 if large else _lines_of_names(groups, layout), theme)
    drawn = list(zip(axes, panels, strict=True))
    ends: dict[str, float] = {}
    for place, panel in drawn:
        ends[panel.steps] = max(draw_panel(place, panel, groups, theme), ends.get(panel.steps, 0.0))
        if panel.large:
            draw_references(place, references or {}, theme)
        if panel.large or (len(groups) == 1 and len(place.get_legend_handles_labels()[0]) > 1):
            legend(place, theme)
        elif len(groups) > 1:
            style_legend(place, panel, groups, theme)
    for place, panel in drawn:  # one range for all panels with the same unit of steps
        end = ends[panel.steps] or 1.0
        place.set_xlim(-0.01 * end, 1.01 * end)
    if not large:
        for place, panel in drawn[-layout.columns :]:  # those without a panel below
            name_steps(place, panel, theme)
        if len(groups) > 1:
            _name_groups(figure, list(groups), _names_in_line(groups, layout), theme)
    _note(figure, groups, layout, theme)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=theme.paper or "none")
    return picture.getvalue()


def _drawable(runs: Mapping[str, Sequence[Folder]]) -> tuple[dict[str, list[Table]], list[Panel]]:
    """The metrics of each label that has any, and the panels of these metrics."""
    groups = {label: tables for label, folders in runs.items() if (tables := read_tables(folders))}
    return groups, panels_for(_names(groups), _panels(runs))


def _names(groups: Mapping[str, list[Table]]) -> list[str]:
    """Names of the metrics of any run."""
    return list(dict.fromkeys(name for tables in groups.values() for table in tables for name in table))


def _panels(runs: Mapping[str, Sequence[Folder]]) -> tuple[Panel, ...]:
    return panels_of([folder for folders in runs.values() for folder in folders])


def curves_figure(runs: Mapping[str, Sequence[Folder]], references: Mapping[str, float]) -> Figure:
    """The figure of groups of runs (label → run folders that differ only in the seed) for light and dark, wide and
    narrow screens, with a text alternative."""
    light, dark, narrow_light, narrow_dark = (
        curves_png(runs, references, theme, layout) for layout in (WIDE, NARROW) for theme in (LIGHT, DARK)
    )
    return Figure.of(light, dark, curves_in_words(runs, references), (narrow_light, narrow_dark))


def curves_in_words(runs: Mapping[str, Sequence[Folder]], references: Mapping[str, float]) -> str:
    """The text alternative: for each panel its title and the first and last value of each line."""
    groups, panels = _drawable(runs)
    sentences = ["Learning curves."]
    for panel in panels:
        lines = [
            f"{' '.join(filter(None, (group, label)))} from {number(float(curve.middle[0]))} "
            f"to {number(float(curve.middle[-1]))}"
            for group, tables in groups.items()
            for label, series in panel.series.items()
            if (curve := curve_of(tables, series)) is not None
        ]
        if panel.large and lines:
            lines += [f"{name} {number(value)}" for name, value in references.items()]
        if lines:
            sentences.append(f"{panel.title}: {', '.join(lines)}.")
    return " ".join(sentences)


def not_drawn_note(runs: Mapping[str, Sequence[Folder]]) -> str:
    """The sentence that names the logged metrics without a panel; empty if all have one."""
    groups = {label: read_tables(folders) for label, folders in runs.items()}
    left = not_drawn(_names(groups), _panels(runs))
    return f"Logged in metrics.csv, but not drawn: {', '.join(left)}." if left else ""


def has_returns(run: Folder) -> bool:
    """Whether the run has a curve in the large panel."""
    table = read_metrics(run)
    return any(metric.name in table for panel in panels_of([run]) if panel.large for metric in panel.metrics)


def _axes(large: int, small: int, layout: Layout, names: int, theme: Theme) -> tuple["Drawing", list["Axes"]]:
    """A figure with `large` panels above `small` ones, and space for the given number of legend lines."""
    # Not pyplot, which keeps a global list of figures and may open windows.
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = layout.columns if large else min(layout.columns, small)
    alone = not large and small == 1
    heights = [layout.large] * large + [layout.large if alone else layout.small] * -(-small // columns)
    size = (layout.width, sum(heights) + LINE_INCHES * names)
    engine = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    figure = Drawing(figsize=size, dpi=150, layout=engine, facecolor=theme.paper or "none")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    places = [grid[index, :] for index in range(large)]
    places += [grid[large + index // columns, index % columns] for index in range(small)]
    return figure, [figure.add_subplot(place) for place in places]


def _names_in_line(labels: Collection[str], layout: Layout) -> int:
    longest, n = max(map(len, labels)), len(labels)
    return max(1, min(n, layout.letters // (longest + 8)))


def _lines_of_names(groups: Mapping[str, list[Table]], layout: Layout) -> int:
    """Number of legend lines above the panels; 0 with a large panel, which has its own legend."""
    return 1 + -(-len(groups) // _names_in_line(groups, layout)) if len(groups) > 1 else 0


def references_of(folder: Folder) -> dict[str, float]:
    """Returns of the reference and of random actions in a finished run, by name; empty for an unfinished one."""
    path = Path(folder) / "result.json"
    if not path.is_file():
        return {}
    result = read_object(path)
    top = restored(Reference, result.get("reference", "demonstrations"), f"reference in {path}")
    found = {
        name: restored(float | None, result.get(entry), f"{entry} in {path}")
        for name, entry in ((top, "expert_return"), ("random", "random_return"))
    }
    return {name: value for name, value in found.items() if value is not None}


def _name_groups(figure: "Drawing", labels: Sequence[str], columns: int, theme: Theme) -> None:
    """Draw the legend of the groups' colors above all panels."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=theme.colors[index % len(theme.colors)], linewidth=2, label=label)
        for index, label in enumerate(labels)
    ]
    figure.legend(
        handles=lines, loc="outside upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=theme.ink
    )


def _note(figure: "Drawing", groups: Mapping[str, list[Table]], layout: Layout, theme: Theme) -> None:
    """Draw the explanation of lines and bands of several runs."""
    sizes = [len(tables) for tables in groups.values()]
    kinds = []
    if any(1 < size < ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("mean and band from lowest to highest run")
    if any(size >= ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("interquartile mean and band between the quartiles")
    if not kinds:
        return
    named = ", ".join(f"{label or 'runs'} {size}" for label, size in zip(groups, sizes, strict=True))
    note = f"{f', from {ENOUGH_FOR_INTERVAL} runs on '.join(kinds)} (runs: {named})"
    figure.supxlabel(fill(note, layout.letters), color=theme.soft, fontsize=9)
