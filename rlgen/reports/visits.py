"""Heat maps of the states that trainings visited, with common axes and colors."""

import io
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlgen.data.visits import VISITS, Visits
from rlgen.errors import InputError, problem
from rlgen.reports.page import Figure
from rlgen.reports.panels import DARK, LIGHT, PRINT, Theme
from rlgen.system.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

log = logging.getLogger("rlgen")
VISITS_NOTE = "States visited during the training; the color is the count on a logarithmic scale."
Folder = str | os.PathLike[str]
COLUMNS = 3
PANEL_INCHES = (3.6, 3.0)
MOST_CELLS = 400  # along an axis: cells beyond the outer quantiles are not drawn


@dataclass(frozen=True)
class VisitMap:
    """Fraction of the visits in each cell of a rectangle: share [X, Y], and the rectangle's low and high corner [2]."""

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def has_visits(folder: Folder) -> bool:
    """Whether the run in `folder` counted its visits."""
    return (Path(folder) / VISITS).is_file()


def draw_visits(
    runs: Mapping[str, Folder | Sequence[Folder]], path: Folder, theme: Theme = PRINT, title: str = ""
) -> Path:
    """Draw a PNG with one map per entry of `runs`: title → a run folder, or several whose visits are summed.

        draw_visits({"PPO": "runs/ppo-0", "PPO + VIME": "runs/vime-0"}, "visits.png")

    Raises `InputError` if a run has no visits, or runs counted visits along different axes.
    """
    atomic_write(path, visits_png(runs, theme, title))
    return Path(path)


def visits_png(runs: Mapping[str, Folder | Sequence[Folder]], theme: Theme = PRINT, title: str = "") -> bytes:
    """The same figure as bytes of a PNG."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure as Drawing

    if not runs:
        raise problem("at least one run", "none", "name the runs whose visits to draw")
    added = {name: _added(folders) for name, folders in runs.items()}
    maps = visit_maps(list(added.values()))
    columns = min(COLUMNS, len(maps))
    rows = -(-len(maps) // columns)
    width, height = max(columns, 2) * PANEL_INCHES[0], rows * PANEL_INCHES[1]
    paper = theme.paper or "none"
    figure = Drawing(figsize=(width, height), dpi=150, layout="constrained", facecolor=paper)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    shares = np.concatenate([found.share[found.share > 0] for found in maps])
    norm = LogNorm(shares.min(), shares.max()) if len(np.unique(shares)) > 1 else None
    for panel, (name, visits), found in zip(panels.flat, added.items(), maps, strict=False):
        drawn = panel.imshow(
            np.ma.masked_equal(found.share.T, 0),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(found.low[0], found.high[0], found.low[1], found.high[1]),
            norm=norm,
            cmap=_colors(theme),
        )
        _style(panel, f"{name}: {len(visits.cells):,} cells" if name else f"{len(visits.cells):,} cells visited", theme)
    for panel in panels.flat[len(maps) :]:
        panel.set_axis_off()
    axes = next(iter(added.values())).axes
    figure.supxlabel(axes[0].name, color=theme.soft, fontsize=9)
    figure.supylabel(axes[1].name if len(axes) > 1 else "", color=theme.soft, fontsize=9)
    bar = figure.colorbar(drawn, ax=panels, shrink=0.9, pad=0.02)
    bar.set_label("share of all steps", color=theme.soft, fontsize=9)
    bar.ax.tick_params(colors=theme.soft, labelsize=8, length=0, which="both")
    bar.outline.set_visible(False)  # type: ignore[operator]
    if title:
        figure.suptitle(title, color=theme.ink, fontsize=13, fontweight="bold")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", facecolor=paper)
    return picture.getvalue()


def visit_maps(every: Sequence[Visits]) -> list[VisitMap]:
    """The visits as images of one rectangle that contains all visited cells.

    An axis of more than 400 cells is cut to those between the outer permilles of all visits, and to 400.
    """
    total = Visits.together(every)
    ranges = [_ends(total.cells[:, axis], total.counts) for axis in range(len(total.axes))]
    low = np.array([first for first, _ in ranges])
    size = np.array([last + 1 - first for first, last in ranges])
    corners = [total.lows + total.widths * end for end in (low, low + size)]
    if len(total.axes) == 1:  # a second axis of one cell
        size, corners = np.append(size, 1), [np.append(corners[0], 0.0), np.append(corners[1], 1.0)]
    return [VisitMap(_share(visits, total.widths, low, size), *corners) for visits in every]


def visits_figure(groups: Mapping[str, Sequence[Folder]]) -> Figure | None:
    """The figure with the maps of all groups that counted visits; None if no group did, or if it cannot be drawn, which
    is logged."""
    counted = {label: [run for run in runs if has_visits(run)] for label, runs in groups.items()}
    drawable = {label: runs for label, runs in counted.items() if runs}
    if not drawable:
        return None
    try:
        light, dark = (visits_png(drawable, theme) for theme in (LIGHT, DARK))
    except InputError as error:
        log.warning("no map of the states visited: %s", error)
        return None
    return Figure.of(light, dark, "Heat maps of the states visited")


def _share(visits: Visits, widths: np.ndarray, low: np.ndarray, size: np.ndarray) -> np.ndarray:
    share = np.zeros(size)
    places = visits.cells_at(widths) - low
    inside = ((places >= 0) & (places < size[: len(low)])).all(axis=1)
    columns = places[inside].T if len(low) > 1 else (places[inside, 0], np.zeros(inside.sum(), dtype=int))
    np.add.at(share, tuple(columns), visits.counts[inside] / max(1, visits.counts.sum()))
    return share


def _ends(cells: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """First and last drawn cell along one axis."""
    if not len(cells):
        return 0, 0
    if cells.max() - cells.min() < MOST_CELLS:
        return int(cells.min()), int(cells.max())
    order = np.argsort(cells)
    passed = np.cumsum(counts[order]) / counts.sum()
    first, last = np.searchsorted(passed, [0.001, 0.999])
    middle = int(cells[order][np.searchsorted(passed, 0.5)])
    half = MOST_CELLS // 2
    return max(int(cells[order][first]), middle - half), min(int(cells[order][last]), middle + half - 1)


def _added(folders: Folder | Sequence[Folder]) -> Visits:
    """The visits of one run, or the sum over several."""
    paths = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    every = [Visits.read(Path(path) / VISITS) for path in paths]
    if not every:
        raise problem("a run folder under every title", "none", "name one or several")
    return Visits.together(every)


def _colors(theme: Theme) -> "Colormap":
    """A colormap from nearly the theme's background to the strongest contrast; cells without visits are transparent."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("visits", [theme.grid, theme.colors[0], theme.ink])


def _style(panel: "Axes", title: str, theme: Theme) -> None:
    panel.set_facecolor("none")
    panel.set_title(title, loc="left", fontsize=10, fontweight="bold", color=theme.ink, pad=6)
    panel.tick_params(colors=theme.soft, labelsize=8, length=0, labelbottom=True, labelleft=True)
    for spine in panel.spines.values():
        spine.set_color(theme.grid)
