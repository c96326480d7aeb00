"""Draw the curves of one run, or compare groups of runs."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from rlgen.atomic import atomic_write
from rlgen.errors import problem
from rlgen.runs.config import restored
from rlgen.runs.curve_data import ENOUGH_FOR_QUARTILES, PANELS, RETURN, Panel, Table, panels_for, read_tables
from rlgen.runs.curve_panel import PRINT, Theme, draw_panel, draw_references, legend, name_steps, style_legend
from rlgen.runs.json_file import read_object

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Folder = str | os.PathLike[str]
COLUMNS = 3
LARGE_INCHES, SMALL_INCHES = 4.1, 2.25
LINE_INCHES = 0.22
NOTE_WIDTH = 150  # letters below a figure


def draw_curves(
    runs: Folder | Mapping[str, Sequence[Folder]],
    path: Folder | None = None,
    references: Mapping[str, float] | None = None,
) -> Path:
    """Draw a PNG. `runs`: one run folder (its curves.png), or label → run folders that differ in the seed only.

    `references`: horizontal lines in the return panel, e.g. `{"expert": 4704.0, "random": -58.0}`; for one run without
    them, those of its result.json. Raises `InputError` when no run has metrics, or several runs come without `path`.
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
    panels_known: Sequence[Panel] = PANELS,
) -> bytes:
    """The same figure as the bytes of a PNG. `panels_known`: what is drawn together, and how it is called."""
    # Not pyplot: it keeps a global list of figures and may open windows.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    groups = {label: tables for label, folders in runs.items() if (tables := read_tables(folders))}
    if not groups:
        raise problem("a run with metrics", "none in metrics.csv", "train first, or draw another run")
    names = list(dict.fromkeys(name for tables in groups.values() for table in tables for name in table))
    panels = panels_for(names, panels_known)
    large = [RETURN] if any(series.column(names) for series in RETURN.series) or not panels else []
    rows = -(-len(panels) // COLUMNS)
    heights = [LARGE_INCHES] * len(large) + [SMALL_INCHES] * rows
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    paper = theme.paper or "none"
    named = len(groups) > 1 and not large  # the large panel names its lines itself
    columns = max(1, min(len(groups), NOTE_WIDTH // (max(map(len, groups)) + 8)))
    tall = sum(heights) + (LINE_INCHES * (1 + -(-len(groups) // columns)) if named else 0)
    figure = Figure(figsize=(11, tall), dpi=150, layout=layout, facecolor=paper)
    grid = figure.add_gridspec(len(heights), COLUMNS, height_ratios=heights)
    places = [grid[0, :] for _ in large]
    places += [grid[len(large) + index // COLUMNS, index % COLUMNS] for index in range(len(panels))]
    ends: dict[str, float] = {}
    drawn = [(figure.add_subplot(place), panel) for place, panel in zip(places, [*large, *panels], strict=True)]
    for axes, panel in drawn:
        end = draw_panel(axes, panel, groups, theme, large=panel is RETURN)
        ends[panel.steps] = max(end, ends.get(panel.steps, 0.0))
        if panel is RETURN:
            draw_references(axes, references or {}, theme)
        if panel is RETURN or (len(groups) == 1 and len(axes.get_legend_handles_labels()[0]) > 1):
            legend(axes, theme)
        elif len(groups) > 1:
            style_legend(axes, panel, groups, theme)
    for axes, panel in drawn:  # the same range in every panel that counts the same steps
        end = ends[panel.steps] or 1.0
        axes.set_xlim(-0.01 * end, 1.01 * end)
    if not large:
        for axes, panel in drawn[-COLUMNS:]:  # those with no panel below
            name_steps(axes, panel, theme)
    if named:
        _name_groups(figure, list(groups), columns, theme)
    _note(figure, groups, theme)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=paper)
    return picture.getvalue()


def references_of(folder: Folder) -> dict[str, float]:
    """Expert and random return of a finished run; empty for one that is not."""
    path = Path(folder) / "result.json"
    if not path.is_file():
        return {}
    result = read_object(path)
    found = {
        name: restored(float | None, result.get(f"{name}_return"), f"{name}_return in {path}")
        for name in ("expert", "random")
    }
    return {name: value for name, value in found.items() if value is not None}


def _name_groups(figure: "Figure", labels: Sequence[str], columns: int, theme: Theme) -> None:
    """Above all panels, which colour is which group."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=theme.colours[index % len(theme.colours)], linewidth=2, label=label)
        for index, label in enumerate(labels)
    ]
    figure.legend(
        handles=lines, loc="outside upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=theme.ink
    )


def _note(figure: "Figure", groups: Mapping[str, list[Table]], theme: Theme) -> None:
    """Say what lines and bands mean when they stand for several runs."""
    most = max(len(tables) for tables in groups.values())
    if most < 2:
        return
    sizes = ", ".join(f"{label or 'runs'} {len(tables)}" for label, tables in groups.items())
    band = f"band from the lowest to the highest run, from {ENOUGH_FOR_QUARTILES} runs on between the quartiles"
    note = f"interquartile mean over runs ({sizes}); {band}"
    figure.supxlabel(fill(note, NOTE_WIDTH), color=theme.soft, fontsize=9)
