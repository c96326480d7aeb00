"""What a curve shows: one quantity of one run, or of several runs together, against environment steps."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rlgen.runs.metrics import CLOCK, read_metrics
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, middle_of_runs

GRID_POINTS = 200


@dataclass(frozen=True)
class Curve:
    """A line with a band: steps [P], middle [P], low [P], high [P]; low and high are None where there is no spread."""

    steps: np.ndarray
    middle: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    runs: int = 1


@dataclass(frozen=True)
class Series:
    """Columns drawn under one label, `factor` times their value. `columns` is a pattern for the whole name of a column
    in metrics.csv."""

    label: str
    columns: str
    factor: float = 1.0

    def column(self, names: Sequence[str]) -> str | None:
        """The first of `names` that belongs to this series."""
        return next((name for name in names if re.fullmatch(self.columns, name)), None)


@dataclass(frozen=True)
class Panel:
    """One small diagram."""

    title: str
    series: tuple[Series, ...]
    limits: tuple[float | None, float | None] = (None, None)
    """Lowest and highest value of the axis; None: as the data have it."""
    line: float | None = None
    """Where a dotted line helps to read it, e.g. chance."""
    steps: str = "environment steps"
    """What the step column counts for these metrics."""
    levels: bool = False
    """Whether players whose names end in another number, such as discriminator_8, have a panel each."""

    def at_levels(self, names: Sequence[str]) -> list["Panel"]:
        """This panel, or where `names` have several levels one for each."""
        matching = [name for name in names if any(re.fullmatch(series.columns, name) for series in self.series)]
        found = list(dict.fromkeys(_level(name) for name in matching))
        if not self.levels or len(found) < 2:
            return [self]
        return [self._at(level, [name for name in matching if _level(name) == level]) for level in found]

    def _at(self, level: str, names: Sequence[str]) -> "Panel":
        series = [
            replace(each, columns="|".join(re.escape(name) for name in names if re.fullmatch(each.columns, name)))
            for each in self.series
        ]
        title = f"{self.title}, level {level}" if level else self.title
        return replace(self, title=title, series=tuple(each for each in series if each.columns))


def _level(name: str) -> str:
    """8 of discriminator_8/loss, nothing of discriminator/loss."""
    return name.partition("/")[0].rpartition("_")[2] if re.match(r"[a-z_]+_\d+/", name) else ""


RETURN = Panel(
    "Return per episode",
    (Series("evaluation", r"eval\w*/return(_mean)?"), Series("training policy", r"rollout/(ep_rew_mean|return)")),
)

PANELS = (
    Panel("Cells of the state grid visited", (Series("cells", r"coverage/cells"),), (0, None)),
    Panel("Share of recent episodes rewarded", (Series("share", r"coverage/rewarded"),), (0, 1)),
    Panel("Intrinsic return per episode", (Series("bonuses", r"(?!rollout|eval).*/return"),)),
    Panel(
        "Bonus per step: quantiles",
        (Series("90 %", r".*/bonus_90"), Series("median", r".*/bonus_50"), Series("10 %", r".*/bonus_10")),
    ),
    Panel("Median information gain [nats]", (Series("gain", r"vime/gain"),)),
    Panel(
        "Novelty in its own unit: quantiles",
        (Series("90 %", r".*/novelty_90"), Series("median", r".*/novelty_50"), Series("10 %", r".*/novelty_10")),
    ),
    Panel("Loss of the dynamics model [nats]", (Series("loss", r"vime/loss"),)),
    Panel("Loss of curiosity's model", (Series("loss", r"(?!train|bc|eval|rollout|gail|code|vime).*/loss"),)),
    Panel(
        "Episode length [steps]",
        (
            Series("evaluation", r"eval\w*/(episode_)?length(_mean)?"),
            Series("training policy", r"rollout/(ep_len_mean|length)"),
        ),
        (0, None),
    ),
    Panel(
        "Share of episodes ended by the task", (Series("evaluation", r"eval\w*/(terminated|share_of_falls)"),), (0, 1)
    ),
    Panel(
        "Discriminator accuracy",
        (
            Series("expert rows", r".*/expert_accuracy"),
            Series("policy rows", r".*/policy_accuracy"),
            Series("all rows", r"(?!code).*/accuracy"),
        ),
        (0, 1),
        0.5,
    ),
    Panel("Share of steps from which the code is told", (Series("share", r"code/accuracy"),), (0, 1)),
    Panel(
        "Reward paid per step",
        (Series("reward", r"(?!rollout|eval|code).*/reward(_mean)?"), Series("for its code", r"code/reward")),
    ),
    Panel(
        "Discriminator loss [nats]",
        (Series("loss", r"gail/loss"), Series("penalty", r"gail/penalty")),
    ),
    Panel("Policy change: KL [nats]", (Series("KL", r"train/(approx_)?kl(_divergence)?(_loss)?"),)),
    Panel(
        "Policy's entropy [nats]",
        (Series("entropy", r"train/entropy_loss", -1.0), Series("entropy", r"train/entropy")),
    ),
    Panel("Standard deviation of actions", (Series("std", r"train/std"),)),
    Panel("Value: explained variance", (Series("explained variance", r"train/explained_variance"),), (None, 1), 0.0),
    Panel("Value loss", (Series("value loss", r"train/value_loss"),)),
    Panel("Share of clipped ratios", (Series("clip fraction", r"train/clip_fraction"),), (0, None)),
    Panel(
        "Behavioural cloning: loss over updates",
        (Series("held out", r"bc/held_out_loss"), Series("training rows", r"bc/loss")),
        steps="updates",
    ),
)
MAX_PANELS = 12
# Constants of the run, counters, losses whose size says nothing, and what says the same as another: nothing to see.
_DULL = re.compile(
    r".*/(n_updates|clip_range|learning_rate|iterations|\w*_(std|standard_error)|return_m(in|ax)|episodes)"
    r"|train/(policy_gradient_)?loss|evaluation/test_errors|discriminator/(information|uniform_r2)|decoder/game"
    r"|coverage/(share|first_reward)|code/loss"
)

Table = dict[str, np.ndarray]


def read_tables(folders: Sequence[str | os.PathLike[str]]) -> list[Table]:
    """The metrics of several runs; runs without any are left out."""
    return [table for folder in folders if (table := read_metrics(folder))]


def panels_for(names: Sequence[str], panels: Sequence[Panel] = PANELS) -> list[Panel]:
    """Those of `panels` that `names` fill, then one for each name that no panel knows; 12 at most."""
    filled = [panel for panel in panels if any(series.column(names) for series in panel.series)]
    known = [each for panel in filled for each in panel.at_levels(names)]
    shown = [series for panel in (RETURN, *panels) for series in panel.series]
    unknown = [
        Panel(name, (Series(name, re.escape(name)),), steps=panels[0].steps)
        for name in names
        if name != "step" and not name.startswith(CLOCK) and not _DULL.fullmatch(name)
        if not any(re.fullmatch(series.columns, name) for series in shown)
    ]
    return [*known, *unknown][:MAX_PANELS]


def curve_of(tables: Sequence[Table], series: Series) -> Curve | None:
    """One quantity over the runs `tables` belong to; None where no run has it.

    One run: its values, with the band ± its `_std` column if it has one. Several: their mean on common steps with the
    band from the lowest to the highest run; from five runs on interquartile mean and quartiles.
    """
    lines = []
    for table in tables:
        name = series.column(list(table))
        written = ~np.isnan(table[name]) if name else np.zeros(0, dtype=bool)
        if name and written.any():
            spread = table.get(f"{name.removesuffix('_mean')}_std")
            values = series.factor * table[name][written]
            lines.append((table["step"][written], values, None if spread is None else spread[written]))
    if not lines:
        return None
    if len(lines) == 1:
        steps, values, spread = lines[0]
        return Curve(steps, values) if spread is None else Curve(steps, values, values - spread, values + spread)
    return _together([(steps, values) for steps, values, _ in lines])


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average of up to `window` values; fewer at the ends. Shapes [P]."""
    half = min(window, len(values)) // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _together(lines: list[tuple[np.ndarray, np.ndarray]]) -> Curve:
    """Several runs: on their steps where these are the same, else on even steps of the range that all of them cover."""
    grid = lines[0][0]
    if not all(np.array_equal(steps, grid) for steps, _ in lines):
        start, stop = max(steps[0] for steps, _ in lines), min(steps[-1] for steps, _ in lines)
        points = min(GRID_POINTS, max(len(steps) for steps, _ in lines))
        grid = np.linspace(start, stop, points) if stop > start else np.array([start])
    values = np.stack([np.interp(grid, steps, line) for steps, line in lines])
    edges = (0.25, 0.75) if len(lines) >= ENOUGH_FOR_INTERVAL else (0.0, 1.0)
    low, high = np.quantile(values, edges, axis=0)
    return Curve(grid, np.array([middle_of_runs(column) for column in values.T]), low, high, len(lines))
