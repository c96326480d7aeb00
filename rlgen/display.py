"""How the numbers of a training are shown. Each is declared where it is logged, and reports draw what they find."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

LEVEL = "*"
"""Stands for a number in the name of a metric that is logged at several levels, such as `discriminator_8/loss`."""


@dataclass(frozen=True)
class Metric:
    """A number that is logged, or that a result holds."""

    name: str
    """Column in metrics.csv, such as `gail/loss`, or entry among a result's metrics."""
    label: str
    """What readers are told that it is."""
    unit: str = ""
    spread: str = ""
    """Name of its standard deviation or error."""
    share: bool = False
    """Whether it is a share of 1, shown in per cent."""
    factor: float = 1.0
    """A curve shows this many times its value."""
    absent: str = "–"
    """What a result that has no number for it is shown with."""


@dataclass(frozen=True)
class Panel:
    """A small diagram. Metrics of one label are one line: of each run, the first that it has."""

    title: str
    metrics: tuple[Metric, ...]
    limits: tuple[float | None, float | None] = (None, None)
    """Lowest and highest value of the axis; None: as the data have it."""
    line: float | None = None
    """Where a dotted line helps to read it, e.g. chance."""
    steps: str = "environment steps"
    """What the step column counts for these metrics."""
    large: bool = False
    """Whether it stands first, over the whole width, with the references' returns."""
    drawn: bool = True
    """Whether there is anything to see; not of constants, counters and what says the same as another metric."""

    @property
    def series(self) -> dict[str, tuple[Metric, ...]]:
        """The metrics of each label."""
        labels = dict.fromkeys(metric.label for metric in self.metrics)
        return {label: tuple(metric for metric in self.metrics if metric.label == label) for label in labels}

    def at_levels(self, names: Sequence[str]) -> list["Panel"]:
        """This panel; where its metrics have levels, one for each level among `names`."""
        if not any(LEVEL in metric.name for metric in self.metrics):
            return [self]
        patterns = [re.escape(metric.name).replace(re.escape(LEVEL), r"(\d+)") for metric in self.metrics]
        matches = (re.fullmatch(pattern, name) for name in names for pattern in patterns)
        return [self._at(level) for level in dict.fromkeys(match[1] for match in matches if match and match.re.groups)]

    def _at(self, level: str) -> "Panel":
        metrics = tuple(replace(metric, name=metric.name.replace(LEVEL, level)) for metric in self.metrics)
        return replace(self, title=f"{self.title}, level {level}", metrics=metrics)


@dataclass(frozen=True, kw_only=True)
class Display:
    """What a run's readers are shown, and how it is called."""

    name: str = ""
    """Of what is trained, e.g. GAIL, or PPO + VIME."""
    panels: tuple[Panel, ...] = ()
    """Of the learning curves, in their order."""
    results: tuple[Metric, ...] = ()
    """Of the result's metrics those that are shown, the most telling first."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Caption of each picture NAME.png that the run may have."""


def under(group: str, panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """The panels of metrics that are logged as `group`/name."""

    def grouped(metric: Metric) -> Metric:
        spread = f"{group}/{metric.spread}" if metric.spread else ""
        return replace(metric, name=f"{group}/{metric.name}", spread=spread)

    return tuple(replace(panel, metrics=tuple(map(grouped, panel.metrics))) for panel in panels)


def joined(panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """Panels of one title as one, with the metrics of all."""
    found: dict[str, Panel] = {}
    for panel in panels:
        before = found.get(panel.title)
        metrics = (*(before.metrics if before else ()), *panel.metrics)
        found[panel.title] = replace(before or panel, metrics=tuple(dict.fromkeys(metrics)))
    return tuple(found.values())
