"""Figures of a benchmark's page: every seed of every agent, performance profiles, learning curves."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rlgen.bench.benchmark import Curves
from rlgen.bench.protocol import Figure as Curve
from rlgen.bench.protocol import Protocol
from rlgen.bench.statistics import Profile, Scores, performance_profile
from rlgen.display import Metric, Panel
from rlgen.reports.curve_data import curve_of
from rlgen.reports.page import Figure
from rlgen.reports.panels import DARK, LIGHT, Theme, draw_panel, draw_references
from rlgen.runs.scores import middle_of_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

MARKS = 101
"""Thresholds of a performance profile."""
DRAWN_SCORES = 1.5
"""Largest score of a profile's axis, unless all runs are below it."""
LINE_INCHES = 0.3


@dataclass(frozen=True)
class Layout:
    """Panels per row, width of the figure [inches], height of a panel of curves [inches], names per legend line."""

    columns: int
    width: float
    height: float
    names: int


WIDE = Layout(columns=3, width=11, height=3.3, names=6)
NARROW = Layout(columns=1, width=4.2, height=2.7, names=3)

Draw = Callable[[Theme, Layout], "Drawing"]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The seeds of one task, for the figure of seeds."""

    title: str
    values: Mapping[str, Sequence[float]]
    """Agent → value of each seed."""
    references: Mapping[str, float]
    """Values of random actions and of the expert, by name."""


def pictured(draw: Draw, words: str) -> Figure:
    """The figure for light and dark, wide and narrow screens."""
    light, dark, narrow_light, narrow_dark = (
        _png(draw, theme, layout) for layout in (WIDE, NARROW) for theme in (LIGHT, DARK)
    )
    return Figure.of(light, dark, words, (narrow_light, narrow_dark))


def _png(draw: Draw, theme: Theme, layout: Layout) -> bytes:
    from matplotlib import rc_context

    picture = io.BytesIO()
    with rc_context({"text.parse_math": False}):  # a name with two $ is no formula
        draw(theme, layout).savefig(picture, format="png", transparent=True)
    return picture.getvalue()


def color_of(protocol: Protocol, agent: str, theme: Theme) -> str:
    """The color that an agent has in all figures."""
    return theme.colors[list(protocol.agents).index(agent) % len(theme.colors)]


def seeds_figure(protocol: Protocol, strips: Sequence[Strip]) -> Figure:
    """Every seed a dot, a panel for each task; the line is the mean, from five seeds on the interquartile mean."""

    def draw(theme: Theme, layout: Layout) -> "Drawing":
        columns = min(layout.columns, len(strips))
        rows = -(-len(strips) // columns)
        most = max(len(strip.values) for strip in strips)
        figure = _figure(layout, rows * (LINE_INCHES * most + 0.95))
        for index, strip in enumerate(strips):
            axes = figure.add_subplot(rows, columns, index + 1)
            _draw_strip(axes, protocol, strip, theme)
        return figure

    words = "; ".join(
        f"{strip.title}: {', '.join(f'{agent} {middle_of_runs(values):.4g}' for agent, values in strip.values.items())}"
        for strip in strips
    )
    return pictured(draw, f"Value of every seed. Means: {words}.")


def _draw_strip(axes: "Axes", protocol: Protocol, strip: Strip, theme: Theme) -> None:
    _style(axes, strip.title, theme)
    axes.grid(False, axis="y")
    names = list(strip.values)
    for place, (agent, values) in enumerate(strip.values.items()):
        color = color_of(protocol, agent, theme)
        middle = middle_of_runs(values)
        axes.plot([middle, middle], [place - 0.32, place + 0.32], color=color, linewidth=2.4, solid_capstyle="round")
        axes.scatter(values, _apart(values, place), s=34, color=color, alpha=0.75, linewidths=0, zorder=3)
    for name, value in strip.references.items():
        axes.axvline(value, color=theme.soft, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            name, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 1), textcoords="offset points",
            ha="center", va="bottom", color=theme.soft, fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names, color=theme.ink, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.06)


def _apart(values: Sequence[float], place: int) -> list[float]:
    """Heights of the dots: seeds next to each other have different ones, always the same."""
    ranks = np.argsort(np.argsort(values))
    return [place + 0.12 * (rank % 3 - 1) if len(values) > 1 else float(place) for rank in ranks]


def profile_figure(protocol: Protocol, scores: Mapping[str, Scores]) -> Figure:
    """Fraction of the runs above each score, with pointwise intervals."""
    found = profiles(scores)

    def draw(theme: Theme, layout: Layout) -> "Drawing":
        figure = _figure(layout, layout.height + 0.6)
        axes = figure.add_subplot()
        _style(axes, "", theme)
        for agent, profile in found.items():
            color = color_of(protocol, agent, theme)
            axes.plot(profile.thresholds, profile.above, color=color, linewidth=2, label=agent, drawstyle="steps-post")
            if profile.interval is not None:
                axes.fill_between(profile.thresholds, *profile.interval, color=color, alpha=0.16, linewidth=0)
        axes.set_xlabel("normalized score τ", color=theme.soft, fontsize=9)
        axes.set_ylabel("fraction of runs above τ", color=theme.soft, fontsize=9)
        axes.set_ylim(-0.03, 1.03)
        _name_agents(figure, protocol, list(found), theme, layout)
        return figure

    words = ", ".join(f"{agent} {_above(each, 0.5):.0%}" for agent, each in found.items())
    return pictured(draw, f"Performance profiles. Runs with a score above 0.5: {words}.")


def profiles(scores: Mapping[str, Scores]) -> dict[str, Profile]:
    """The profile of each agent, over one range of scores."""
    everything = [value for own in scores.values() for seeds in own.values() for value in seeds.values()]
    low, high = max(-0.5, min(0.0, *everything)), min(max(1.0, *everything), DRAWN_SCORES)
    marks = np.linspace(low, high, MARKS)
    return {agent: performance_profile(own, marks) for agent, own in scores.items()}


def _above(profile: Profile, score: float) -> float:
    return float(profile.above[np.argmin(np.abs(profile.thresholds - score))])


def curves_figure(
    protocol: Protocol, panels: Mapping[str, Curves], references: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Learning curves, a panel for each number of trajectories: the mean, its band, and every seed a thin line.

    `references`: horizontal lines of each panel, by name.
    """

    def draw(theme: Theme, layout: Layout) -> "Drawing":
        columns = min(layout.columns, len(panels))
        rows = -(-len(panels) // columns)
        figure = _figure(layout, rows * (layout.height + (0.5 if len(panels) == 1 else 0)))
        for index, (title, curves) in enumerate(panels.items()):
            axes = figure.add_subplot(rows, columns, index + 1)
            _draw_curves(axes, protocol, title if len(panels) > 1 else "", curves, theme)
            draw_references(axes, references.get(title, {}), theme)
        shown = [agent for agent in protocol.agents if any(agent in curves for curves in panels.values())]
        _name_agents(figure, protocol, shown, theme, layout)
        return figure

    return pictured(draw, curves_in_words(protocol.figure, panels))


def curves_in_words(figure: Curve, panels: Mapping[str, Curves]) -> str:
    """The text alternative: last value of each agent."""
    series = (Metric(figure.curve, figure.label),)
    ends = []
    for title, curves in panels.items():
        found = {agent: curve_of(tables, series) for agent, tables in curves.items()}
        last = [f"{agent} {curve.middle[-1]:.4g}" for agent, curve in found.items() if curve is not None]
        ends.append(f"{title}: {', '.join(last)}")
    return f"Learning curves of {figure.label}, at the end {'; '.join(ends)}."


def _draw_curves(axes: "Axes", protocol: Protocol, title: str, curves: Curves, theme: Theme) -> None:
    name = protocol.figure.curve
    for agent, tables in curves.items():
        color = color_of(protocol, agent, theme)
        own = Theme(theme.paper, theme.ink, theme.soft, theme.grid, (color,))
        draw_panel(axes, Panel(title, (Metric(name, agent),)), {agent: tables}, own)
        for table in tables if len(tables) > 1 else ():
            axes.plot(table["step"], table[name], color=color, linewidth=0.7, alpha=0.45)
    axes.set_xlabel("environment steps", color=theme.soft, fontsize=9)
    axes.set_ylabel(protocol.figure.label, color=theme.soft, fontsize=9)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=theme.ink, pad=8)


def _figure(layout: Layout, height: float) -> "Drawing":
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    return Drawing(figsize=(layout.width, height), dpi=150, layout=engine, facecolor="none")


def _style(axes: "Axes", title: str, theme: Theme) -> None:
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=theme.ink, pad=12)
    axes.grid(True, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.tick_params(colors=theme.soft, labelsize=8, length=0)


def _name_agents(figure: "Drawing", protocol: Protocol, agents: Sequence[str], theme: Theme, layout: Layout) -> None:
    from matplotlib.lines import Line2D

    names = [f" {agent}" if agent.startswith("_") else agent for agent in agents]  # matplotlib leaves out _names
    lines = [
        Line2D([], [], color=color_of(protocol, agent, theme), linewidth=2, label=name)
        for agent, name in zip(agents, names, strict=True)
    ]
    figure.legend(
        handles=lines, loc="outside upper left", ncols=layout.names, frameon=False, fontsize=9, labelcolor=theme.ink
    )
