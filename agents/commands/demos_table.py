"""Demonstrations as tables in a terminal."""

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from rlgen.data import observations as tree
from rlgen.data.summary import Summary, at_bound
from rlgen.data.words import instructions_of
from rlgen.system.console import Console, number

if TYPE_CHECKING:
    from rlgen.data import Demonstrations

BLOCKS = " ▁▂▃▄▅▆▇█"
BINS = 18
"""Bins of an action's histogram; with 18 the table fits 80 columns."""

NOTED = (
    "policy",
    "failed_episodes",
    "minari_id",
    "environment",
    "env_kwargs",
    "seed",
    "deterministic",
    "backend",
    "margin_rule",
)
"""Metadata that is shown."""

SHOWN_INSTRUCTIONS = 4
"""Instructions that are shown as text."""

MOST_ACTIONS = 24
"""Most rows of the action table, one per action dimension."""


Bounds = tuple[np.ndarray, np.ndarray] | None
"""Lowest and highest action, [A] each, where known."""


def show(demonstrations: "Demonstrations", summary: Summary, bounds: Bounds, console: Console) -> None:
    """Print what the file holds, the distribution of each action dimension, and warnings."""
    console.print()
    console.print(Text(summary.source, style="bold"), soft_wrap=True)
    console.print(_facts(demonstrations, summary))
    console.print(_actions(demonstrations, bounds))
    for warning in summary.warnings:
        console.print(Text.assemble(("  ! ", "bold yellow"), (warning, "yellow")))
    if summary.warnings:
        console.print()


def _facts(demonstrations: "Demonstrations", summary: Summary) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    table.add_row("environment", Text(summary.env_id or "not named"))
    if origin := _origin(demonstrations.metadata):
        table.add_row("recorded", Text(origin))
    kept = "every step" if summary.stride == 1 else f"every {_ordinal(summary.stride)} step"
    table.add_row("rows", f"{summary.rows:,} of {summary.episodes} episodes, {kept}")
    if not tree.is_flat(demonstrations.observations):
        for entry in summary.entries:
            shape = " x ".join(map(str, entry.shape))
            table.add_row(entry.name or "observations", f"{entry.kind} {shape}, {_span(entry.range)}")
        table.add_row("per row", f"action dim {summary.action_size}")
    else:
        table.add_row("per row", f"observation dim {summary.observation_size}, action dim {summary.action_size}")
    if summary.return_mean is None:
        table.add_row("return", "unknown")
    else:
        extremes = f"({number(summary.return_min)} to {number(summary.return_max)}; bars from lowest to highest)"
        table.add_row("return", f"{number(summary.return_mean)} ± {number(summary.return_std)}  {extremes}")
        table.add_row("  by episode", _over_episodes(demonstrations.episode_returns))
    lengths = f"({summary.length_min:,} to {summary.length_max:,})" if summary.length_min < summary.length_max else ""
    table.add_row("length", f"{summary.length_mean:,.0f} steps  {lengths}".rstrip())
    table.add_row("ends", _ends(summary))
    if instructions := _instructions(demonstrations):
        table.add_row("instructions", Text(instructions))
    if tree.is_flat(demonstrations.observations):
        table.add_row("observations", _span(summary.observation_range))
    clipped = "" if summary.share_clipped is None else f", {summary.share_clipped:.1%} of them at a bound"
    table.add_row("actions", f"{_span(summary.action_range)}{clipped}")
    return table


def _instructions(demonstrations: "Demonstrations") -> str:
    """Number of different instructions, and the first of them, one per line."""
    firsts = np.unique(demonstrations.episode, return_index=True)[1]
    seen = tree.take(demonstrations.observations, firsts)
    found = list(dict.fromkeys(instructions_of(seen, demonstrations.metadata)))
    return "\n".join([f"{len(found)} different, e.g.", *found[:SHOWN_INSTRUCTIONS]]) if found else ""


def _origin(metadata: dict[str, Any]) -> str:
    """How the demonstrations were made, as far as the file records it."""
    noted = [f"{name.replace('_', ' ')} {metadata[name]}" for name in NOTED if metadata.get(name) not in (None, {}, "")]
    versions = metadata.get("versions")
    if isinstance(versions, dict):
        noted += [f"{name} {versions[name]}" for name in ("gymnasium", "mujoco") if versions.get(name)]
    return ", ".join(noted)


def _span(values: tuple[float, float]) -> str:
    return f"{values[0]:,.4g} to {values[1]:,.4g}"


def _ends(summary: Summary) -> str:
    """How the episodes ended, unknown where a file neither has the last step nor notes it."""
    unknown = summary.episodes - summary.terminated - summary.truncated
    known = f"{summary.terminated} terminated, {summary.truncated} at the time limit"
    return f"{known}, {unknown} unknown (no last step)" if unknown else known


def _actions(demonstrations: "Demonstrations", bounds: Bounds) -> Table:
    """One line per action dimension: range, moments, share at the bounds and a histogram between the bounds."""
    actions = demonstrations.actions[np.isfinite(demonstrations.actions).all(axis=1)].astype(np.float64)
    table = Table(box=SIMPLE_HEAD, header_style="cyan", padding=(0, 1))
    for name in ("action", "low", "high", "mean", "std", "at bound"):
        table.add_column(name, justify="right")
    table.add_column("distribution")
    if len(actions) == 0:
        return table
    low, high = actions.min(axis=0), actions.max(axis=0)
    clipped = np.full(actions.shape[1], np.nan)
    left, right = np.minimum(low, -abs(high)), np.maximum(high, abs(low))
    if bounds is not None:
        clipped = at_bound(demonstrations.actions, *bounds).mean(axis=0)
        left, right = (
            np.where(np.isfinite(bound), bound, seen) for bound, seen in zip(bounds, (left, right), strict=True)
        )
    for i in range(min(actions.shape[1], MOST_ACTIONS)):
        counts, _ = np.histogram(
            actions[:, i], bins=BINS, range=(left[i], right[i] if right[i] > left[i] else left[i] + 1)
        )
        share = "?" if np.isnan(clipped[i]) else f"{clipped[i]:.1%}"
        numbers = (f"{x:.3f}" for x in (low[i], high[i], actions[:, i].mean(), actions[:, i].std()))
        table.add_row(str(i), *numbers, share, Text(f"▕{_bars(counts)}▏", style="green"))
    if actions.shape[1] > MOST_ACTIONS:
        table.add_row("…", *[""] * 5, f"{actions.shape[1] - MOST_ACTIONS} more")
    return table


def _bars(values: np.ndarray) -> str:
    """Blocks from empty (0) to full (the maximum); any value above 0 is visible."""
    levels = np.ceil(values / max(values.max(), 1e-12) * (len(BLOCKS) - 1)).astype(int)
    return "".join(BLOCKS[level] for level in levels)


def _over_episodes(returns: np.ndarray | None, width: int = 50) -> Text:
    """Returns in the order of the episodes, as blocks: the lowest for the minimum, a full one for the maximum.
    Neighbors are averaged to fit `width`."""
    assert returns is not None
    groups = np.array_split(returns.astype(np.float64), min(width, len(returns)))
    means = np.array([group.mean() for group in groups])
    extent = np.ptp(means) if np.isfinite(means).all() else 0.0
    share = (means - means.min()) / extent if extent > 0 else np.full(len(means), 0.5)
    return Text("".join(BLOCKS[1 + round(7 * each)] for each in share), style="green")


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
