"""How reports show the numbers of a training. Each number is declared where it is logged."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

LEVEL = "*"
"""Stands for a number in the name of a metric that is logged at several levels, such as `discriminator_8/loss`."""


@dataclass(frozen=True)
class Metric:
    """A logged number, or an entry of a result."""

    name: str
    """Column in metrics.csv, such as `gail/loss`, or entry among a result's metrics."""
    label: str
    """Description in reports."""
    unit: str = ""
    band: str = ""
    """Name of the metric with its standard deviation or error, drawn as a band."""
    share: bool = False
    """Whether it is a fraction of 1, shown in percent."""
    factor: float = 1.0
    """Factor of its values in curves."""
    absent: str = "–"
    """Text in reports for a result without it."""


@dataclass(frozen=True)
class Panel:
    """A small diagram. Metrics with the same label are one line, which shows the first one that a run has."""

    title: str
    metrics: tuple[Metric, ...]
    limits: tuple[float | None, float | None] = (None, None)
    """Lowest and highest value of the axis; None: that of the data."""
    line: float | None = None
    """Value of a dotted reference line, e.g. chance."""
    steps: str = "environment steps"
    """Unit of the horizontal axis."""
    large: bool = False
    """Whether it is first, has the full width, and shows the references' returns."""
    drawn: bool = True
    """Whether it is drawn; False for constants, counters and redundant metrics."""

    @property
    def series(self) -> dict[str, tuple[Metric, ...]]:
        """The metrics of each label."""
        labels = dict.fromkeys(metric.label for metric in self.metrics)
        return {label: tuple(metric for metric in self.metrics if metric.label == label) for label in labels}

    def at_levels(self, names: Sequence[str]) -> list["Panel"]:
        """This panel; if its metrics have levels, one panel for each level among `names`."""
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
    """How reports name a run, and what they show of it."""

    name: str = ""
    """Name of the agent or model, e.g. GAIL, or PPO + VIME."""
    panels: tuple[Panel, ...] = ()
    """Panels of the learning curves, in their order."""
    results: tuple[Metric, ...] = ()
    """Metrics of the result to show, the most important first."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Caption of each picture NAME.png that the run may have."""
    texts: dict[str, str] = field(default_factory=dict)
    """Caption of each text NAME.txt that the run may have."""


def under(group: str, panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """The panels of metrics that are logged as `group`/name."""

    def grouped(metric: Metric) -> Metric:
        band = f"{group}/{metric.band}" if metric.band else ""
        return replace(metric, name=f"{group}/{metric.name}", band=band)

    return tuple(replace(panel, metrics=tuple(map(grouped, panel.metrics))) for panel in panels)


def joined(panels: Iterable[Panel]) -> tuple[Panel, ...]:
    """The panels, with those of one title joined."""
    found: dict[str, Panel] = {}
    for panel in panels:
        before = found.get(panel.title)
        metrics = (*(before.metrics if before else ()), *panel.metrics)
        found[panel.title] = replace(before or panel, metrics=tuple(dict.fromkeys(metrics)))
    return tuple(found.values())
