"""Draw the curves of one run, or compare groups of runs."""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlgen.errors import problem
from rlgen.runs.atomic import atomic_write, read_json
from rlgen.runs.curve_data import (
    ENOUGH_FOR_QUARTILES,
    RETURN,
    Curve,
    Panel,
    Table,
    curve_of,
    panels_for,
    read_tables,
    smoothed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Folder = str | os.PathLike[str]
# A single run's line with more points than this is drawn faint, with its moving average on top.
MANY_POINTS = 80
COLUMNS = 3


@dataclass(frozen=True)
class Theme:
    """Colours of a figure. `paper` is None for a transparent one."""

    paper: str | None
    ink: str
    soft: str
    grid: str
    colours: tuple[str, ...]


PRINT = Theme(
    "#ffffff", "#1c1917", "#78716c", "#e7e5e4", ("#2563eb", "#ea580c", "#059669", "#9333ea", "#db2777", "#0e7490")
)
LIGHT = Theme(None, *("#1c1917", "#78716c", "#e7e5e4"), PRINT.colours)
DARK = Theme(
    None, *("#f5f5f4", "#a8a29e", "#3f3b38"), ("#60a5fa", "#fb923c", "#34d399", "#c084fc", "#f472b6", "#22d3ee")
)


def draw_curves(
    runs: Folder | Mapping[str, Sequence[Folder]], path: Folder, references: Mapping[str, float] | None = None
) -> Path:
    """Draw curves.png. `runs`: one run folder, or label → run folders that differ in the seed only.

    `references`: horizontal lines in the return panel, e.g. `{"expert": 4704.0, "random": -58.0}`; for one run without
    them, those of its result.json. Raises `InputError` when no run has metrics.
    """
    if not isinstance(runs, Mapping):
        references = references_of(runs) if references is None else references
        runs = {"": [runs]}
    atomic_write(path, curves_png(runs, references or {}))
    return Path(path)


def curves_png(
    runs: Mapping[str, Sequence[Folder]], references: Mapping[str, float] | None = None, theme: Theme = PRINT
) -> bytes:
    """The same figure as the bytes of a PNG."""
    # Not pyplot: it keeps a global list of figures and may open windows.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    groups = {label: tables for label, folders in runs.items() if (tables := read_tables(folders))}
    if not groups:
        raise problem("a run with metrics", "none in metrics.csv", "train first, or draw another run")
    names = list(dict.fromkeys(name for tables in groups.values() for table in tables for name in table))
    panels = panels_for(names)
    rows = -(-len(panels) // COLUMNS)
    last = max(float(table["step"].max()) for tables in groups.values() for table in tables)
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    paper = theme.paper or "none"
    figure = Figure(figsize=(11, 4.1 + 2.25 * rows), dpi=150, layout=layout, facecolor=paper)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[4.1, *[2.25] * rows])
    main = figure.add_subplot(grid[0, :])
    _draw_panel(main, RETURN, groups, theme, large=True)
    _draw_references(main, references or {}, theme)
    _legend(main, theme)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[1 + index // COLUMNS, index % COLUMNS])
        _draw_panel(axes, panel, groups, theme, large=False)
        if len(panel.series) > 1 and len(groups) == 1:
            _legend(axes, theme)
    for axes in figure.axes:
        axes.set_xlim(-0.01 * last, 1.01 * last if last > 0 else 1.0)
    _note(figure, groups, theme)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=paper)
    return picture.getvalue()


def references_of(folder: Folder) -> dict[str, float]:
    """Expert and random return of a finished run; empty for one that is not."""
    path = Path(folder) / "result.json"
    if not path.is_file():
        return {}
    result = read_json(path)
    found = {"expert": result.get("expert_return"), "random": result.get("random_return")}
    return {name: value for name, value in found.items() if value is not None}


def _draw_panel(axes: "Axes", panel: Panel, groups: Mapping[str, list[Table]], theme: Theme, large: bool) -> None:
    """Every series of every group. Colour tells groups apart when there are several, else series; style the other."""
    several = len(groups) > 1
    for g, (label, tables) in enumerate(groups.items()):
        for s, series in enumerate(panel.series):
            curve = curve_of(tables, series)
            if curve is None:
                continue
            colour = theme.colours[(g if several else s) % len(theme.colours)]
            style = ("-", "--", ":")[s % 3] if several else "-"
            _draw_curve(axes, curve, label or series.label, colour, style, 2.0 if large else 1.5)
            if several and large:
                break  # each group's first kind of return, or the lines of many groups hide each other
    if panel.line is not None:
        axes.axhline(panel.line, color=theme.soft, linewidth=1, linestyle=":")
    _style(axes, panel, theme, large)


def _draw_curve(axes: "Axes", curve: Curve, label: str, colour: str, style: str, width: float) -> None:
    """One line and its band; where there are many points, their moving average over the faint line itself."""
    window = len(curve.steps) // 25 if len(curve.steps) > MANY_POINTS else 1
    if window > 1 and curve.runs == 1:
        axes.plot(curve.steps, curve.middle, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(
        curve.steps, smoothed(curve.middle, window), color=colour, linestyle=style, linewidth=width, label=label,
        marker="o" if len(curve.steps) <= 25 else None, markersize=2 * width,
    )  # fmt: skip
    if curve.low is not None and curve.high is not None:
        low, high = smoothed(curve.low, window), smoothed(curve.high, window)
        axes.fill_between(curve.steps, low, high, color=colour, alpha=0.16, linewidth=0)


def _draw_references(axes: "Axes", references: Mapping[str, float], theme: Theme) -> None:
    for name, value in references.items():
        axes.axhline(value, color=theme.soft, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.annotate(
            f"{name} {value:,.0f}", (1.0, value), xycoords=("axes fraction", "data"), xytext=(-4, 4),
            textcoords="offset points", ha="right", va="bottom", color=theme.soft, fontsize=9,
        )  # fmt: skip
    if references:
        axes.margins(y=0.08)


def _style(axes: "Axes", panel: Panel, theme: Theme, large: bool) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_facecolor("none")
    axes.set_title(panel.title, loc="left", fontsize=13 if large else 10, fontweight="bold", color=theme.ink, pad=8)
    axes.grid(True, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.tick_params(colors=theme.soft, labelsize=9 if large else 8, length=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
    axes.xaxis.set_major_locator(MaxNLocator(10 if large else 4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6 if large else 4, steps=[1, 2, 2.5, 5, 10]))
    if large:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("environment steps", color=theme.soft, fontsize=9)
    low, high = panel.limits
    margin = 0.04 * (high - low) if low is not None and high is not None else 0.0
    # One at a time, and only what is given: setting a limit ends its automatic choice.
    if low is not None and axes.has_data():
        axes.set_ylim(bottom=low - margin)
    if high is not None and axes.has_data():
        axes.set_ylim(top=high + margin)


def _legend(axes: "Axes", theme: Theme) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink, loc="best")


def _note(figure: "Figure", groups: Mapping[str, list[Table]], theme: Theme) -> None:
    """Say what lines and bands mean when they stand for several runs."""
    most = max(len(tables) for tables in groups.values())
    if most < 2:
        return
    band = "between the quartiles" if most >= ENOUGH_FOR_QUARTILES else "from the lowest to the highest run"
    sizes = ", ".join(f"{label or 'runs'}: {len(tables)}" for label, tables in groups.items())
    figure.supxlabel(f"interquartile mean, band {band} ({sizes} runs)", color=theme.soft, fontsize=9)
