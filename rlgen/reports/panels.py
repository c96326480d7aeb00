"""Draw one panel of curves onto matplotlib axes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from rlgen.display import Panel
from rlgen.reports.curve_data import Curve, Table, curve_of, smoothed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A single run's line with more points than this is faint, with its moving average on top.
LABEL_HEIGHT = 0.08  # of the return panel, also of the narrow layout
MANY_POINTS = 80
STYLES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
TITLE_WIDTH = 40  # letters in a title of a small panel
A_CURVE = 5  # minimum in points


@dataclass(frozen=True)
class Theme:
    """Colors of a figure. `paper` is None for a transparent background."""

    paper: str | None
    ink: str
    soft: str
    grid: str
    colors: tuple[str, ...]


PRINT = Theme(
    *("#ffffff", "#1c1917", "#78716c", "#e7e5e4"),
    (
        *("#2563eb", "#ea580c", "#059669", "#9333ea", "#db2777", "#0e7490"),
        *("#ca8a04", "#7f1d1d", "#65a30d", "#64748b", "#f472b6", "#38bdf8"),
    ),
)
LIGHT = Theme(None, *("#1c1917", "#78716c", "#e7e5e4"), PRINT.colors)
DARK = Theme(
    *(None, "#f5f5f4", "#a8a29e", "#3f3b38"),
    (
        *("#60a5fa", "#fb923c", "#34d399", "#c084fc", "#f472b6", "#22d3ee"),
        *("#facc15", "#ef4444", "#a3e635", "#94a3b8", "#fbcfe8", "#bae6fd"),
    ),
)


def draw_panel(axes: "Axes", panel: Panel, groups: Mapping[str, list[Table]], theme: Theme) -> float:
    """Draw every series of every group. Returns the last step, 0 if there is nothing to draw.

    Colors distinguish the groups if there are several, else the series; line styles distinguish the others.
    """
    several, last = len(groups) > 1, 0.0
    label = telling_series(panel, groups) if several and panel.large else None
    if label is not None:  # otherwise the lines of many groups hide each other
        panel = replace(panel, title=f"{panel.title}: {label}", metrics=panel.series[label])
    for g, (group, tables) in enumerate(groups.items()):
        for s, (label, series) in enumerate(panel.series.items()):
            curve = curve_of(tables, series)
            if curve is None:
                continue
            last = max(last, float(curve.steps[-1]))
            color = theme.colors[(g if several else s) % len(theme.colors)]
            style = STYLES[s % len(STYLES)] if several else "-"
            _draw_curve(axes, curve, group if several else label, color, style, 2.0 if panel.large else 1.5)
    if panel.line is not None:
        axes.axhline(panel.line, color=theme.soft, linewidth=1, linestyle=":")
    _style(axes, panel, theme)
    return last


def telling_series(panel: Panel, groups: Mapping[str, list[Table]]) -> str | None:
    """The label of the first series that is a curve, not a few dots, in most groups; else of the series with the most
    points. None if no group has any."""
    points = {}
    for label, series in panel.series.items():
        curves = [curve_of(tables, series) for tables in groups.values()]
        lengths = [len(curve.steps) for curve in curves if curve is not None]
        points[label] = (sum(length >= A_CURVE for length in lengths), sum(lengths))
    best = max(points, key=lambda label: points[label])  # the first of equal ones
    enough = [label for label, found in points.items() if found[0] == points[best][0]]
    return (enough[0] if points[best][0] else best) if points[best][1] else None


def _draw_curve(axes: "Axes", curve: Curve, label: str, color: str, style: str, width: float) -> None:
    """Draw one line and its band; with many points, draw the moving average over the faint line."""
    window = len(curve.steps) // 25 if len(curve.steps) > MANY_POINTS else 1
    if window > 1 and curve.runs == 1:
        axes.plot(curve.steps, curve.middle, color=color, alpha=0.25, linewidth=0.8)
    axes.plot(
        curve.steps, smoothed(curve.middle, window), color=color, linestyle=style, linewidth=width, label=label,
        marker="o" if len(curve.steps) <= 25 else None, markersize=2 * width,
    )  # fmt: skip
    if curve.low is not None and curve.high is not None:
        low, high = smoothed(curve.low, window), smoothed(curve.high, window)
        axes.fill_between(curve.steps, low, high, color=color, alpha=0.16, linewidth=0)


def draw_references(axes: "Axes", references: Mapping[str, float], theme: Theme) -> None:
    """Draw dashed horizontal lines with their names, e.g. the expert's return; close lines share a label."""
    if not references:
        return
    axes.margins(y=0.08)
    for value in references.values():
        axes.axhline(value, color=theme.soft, linewidth=1.2, linestyle=(0, (5, 3)))
    low, high = axes.get_ylim()
    for names in _close_together(references, LABEL_HEIGHT * (high - low)):
        label = ", ".join(f"{name} {_short(references[name])}" for name in names)
        axes.annotate(
            label, (1.0, references[names[0]]), xycoords=("axes fraction", "data"), xytext=(-4, 4),
            textcoords="offset points", ha="right", va="bottom", color=theme.soft, fontsize=9,
        )  # fmt: skip


def _close_together(values: Mapping[str, float], distance: float) -> list[list[str]]:
    """The names, by descending value, in groups of neighbors less than `distance` apart."""
    groups: list[list[str]] = []
    for name in sorted(values, key=lambda name: -values[name]):
        if groups and values[groups[-1][-1]] - values[name] < distance:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _style(axes: "Axes", panel: Panel, theme: Theme) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    large = panel.large
    axes.set_facecolor("none")
    title = panel.title if large else fill(panel.title, TITLE_WIDTH)
    axes.set_title(title, loc="left", fontsize=13 if large else 10, fontweight="bold", color=theme.ink, pad=8)
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
        axes.yaxis.set_major_formatter(lambda value, _: _short(value))
        name_steps(axes, panel, theme)
    if axes.has_data() and panel.limits != (None, None):
        first, last = axes.dataLim.intervaly
        low = first if panel.limits[0] is None else panel.limits[0]
        high = last if panel.limits[1] is None else panel.limits[1]
        margin = 0.05 * ((high - low) or 1.0)
        axes.set_ylim(low - margin, high + margin)


def name_steps(axes: "Axes", panel: Panel, theme: Theme) -> None:
    """Label the horizontal axis with the unit of steps."""
    axes.set_xlabel(panel.steps, color=theme.soft, fontsize=9)


def style_legend(axes: "Axes", panel: Panel, groups: Mapping[str, list[Table]], theme: Theme) -> None:
    """Draw the legend of line styles, if colors distinguish the groups."""
    from matplotlib.lines import Line2D

    drawn = [
        Line2D([], [], color=theme.soft, linestyle=STYLES[index % len(STYLES)], label=label)
        for index, (label, series) in enumerate(panel.series.items())
        if any(curve_of(tables, series) is not None for tables in groups.values())
    ]
    if len(drawn) > 1:
        axes.legend(handles=drawn, frameon=False, fontsize=7, labelcolor=theme.soft, loc="best")


def legend(axes: "Axes", theme: Theme) -> None:
    """Draw the legend of the lines where matplotlib finds space."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink, loc="best")


def _short(value: float) -> str:
    """A number as 4,704 or 0.25, with the minus sign that the axes have."""
    whole = abs(value) >= 100 or abs(value - round(value)) < 1e-9
    text = f"{round(value):,}" if whole else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
