"""A plot of demonstrations: returns, lengths, actions."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlgen.system.files import make_parent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rlgen.data import Demonstrations

COLOUR = "#3b6ea5"
BINS = 60


def draw(demonstrations: "Demonstrations", path: Path) -> None:
    """Write a PNG with the returns and lengths of the episodes and a histogram of every action dimension."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.3))
    _by_episode(figure.add_subplot(grid[0, 0]), demonstrations.episode_returns, "return")
    _by_episode(figure.add_subplot(grid[0, 1]), demonstrations.episode_lengths, "length (steps)")
    _actions(figure, figure.add_subplot(grid[1, :]), demonstrations.actions)
    name = demonstrations.env_id or "environment not named"
    figure.suptitle(f"{name}: {demonstrations.n_episodes} episodes, {len(demonstrations):,} rows")
    make_parent(path)
    figure.savefig(path, format="png", dpi=110)


def _by_episode(axes: "Axes", values: np.ndarray | None, label: str) -> None:
    axes.set_xlabel("episode")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    if values is None:
        axes.text(0.5, 0.5, "unknown", ha="center", va="center", transform=axes.transAxes)
        return
    axes.plot(np.arange(len(values)), values, ".", color=COLOUR)
    axes.axhline(float(np.mean(values)), color=COLOUR, linewidth=0.8, linestyle="--")
    axes.set_ylim(min(0.0, float(np.nanmin(values))), 1.08 * max(float(np.nanmax(values)), 1e-9))


def _actions(figure: Figure, axes: "Axes", actions: np.ndarray) -> None:
    """Share of rows in each bin, one line of the image per action dimension, on a logarithmic scale."""
    finite = actions[np.isfinite(actions).all(axis=1)]
    axes.set_xlabel("action (environment scale)")
    axes.set_ylabel("action dimension")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if len(finite) == 0:
        return
    edge = float(abs(finite).max()) or 1.0
    shares = [np.histogram(column, bins=BINS, range=(-edge, edge))[0] / len(finite) for column in finite.T]
    image = axes.imshow(
        np.ma.masked_equal(np.stack(shares), 0),
        aspect="auto",
        cmap="viridis",
        norm=LogNorm(vmin=1 / len(finite), vmax=1),
        extent=(-edge, edge, len(shares) - 0.5, -0.5),
        interpolation="nearest",
    )
    figure.colorbar(image, ax=axes, label="share of rows", pad=0.01)
