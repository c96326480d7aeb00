"""How many more seeds a benchmark needs, for intervals of a wanted width or comparisons of a wanted power."""

import math

from rlgen.bench.cells import setting_of
from rlgen.bench.grid import Grid
from rlgen.bench.guards import groups
from rlgen.bench.protocol import Protocol
from rlgen.bench.rows import Results, by_seed
from rlgen.bench.statistics import Estimate, per_task
from rlgen.bench.statistics_comparison import p_value
from rlgen.bench.statistics_power import MOST, half_width, seeds_for_half_width, seeds_for_power
from rlgen.bench.summary import SIGNIFICANT, p_text, values_of
from rlgen.bench.table import DASH, writer_of
from rlgen.errors import problem
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL

FIRST = f"at least {{}}, then ask again: an interval needs {ENOUGH_FOR_INTERVAL}"


def for_width(protocol: Protocol, results: Results, width: float | None = None, share: float | None = None) -> Grid:
    """Seeds still needed of every row for an interval of ± `width` in the metric's unit, or ± `share` of the mean."""
    head = ("task", "agent", "seeds", "mean", "half-width now", "wanted", "seeds to go")
    rows = []
    for (task, trajectories, agent), own in groups(protocol, results):
        values = by_seed(own)
        if not values:
            continue
        write, have = writer_of(list(values.values())), len(values)
        middle = per_task({"": values})[""].iqm
        wanted = width if width is not None else (share or 0.0) * abs(middle.value)
        where = (setting_of(task, trajectories), agent, str(have), write(middle.value))
        if middle.interval is None:
            rows.append((*where, DASH, write(wanted), FIRST.format(ENOUGH_FOR_INTERVAL - have)))
            continue
        now = half_width(middle, have, have)
        rows.append((*where, write(now), write(wanted), _to_go(have, _needed(middle, have, wanted))))
    note = (
        "Half-width: of the 95 % interval of the interquartile mean, which shrinks with the square root of the number "
        "of seeds. Further seeds are assumed to be like the available ones, which five seeds show only roughly."
    )
    return Grid(title="Seeds for a width", head=head, rows=rows, notes=(note,))


def _needed(middle: Estimate, have: int, wanted: float) -> int | None:
    """Seeds for the half-width; None if a million are too few."""
    if half_width(middle, have, have) <= wanted:
        return have
    return None if half_width(middle, have, MOST) > wanted else seeds_for_half_width(middle, have, wanted)


def for_power(protocol: Protocol, results: Results, power: float) -> Grid:
    """Seeds still needed of both agents so that a comparison with the baseline finds the observed difference."""
    baseline = protocol.baseline_agent
    values = values_of(protocol, results, protocol.metric_of(baseline))
    if baseline not in values or len(values) < 2:
        got = f"results of {', '.join(values) or 'none'}"
        raise problem(f"results of the baseline {baseline} and of an agent to compare", got, "finish more cells")
    head = ("task", "agent", "seeds", "p now", "seeds to go")
    rows = []
    for agent, tasks in values.items():
        for task in tasks if agent != baseline else ():
            if task not in values[baseline]:
                continue
            own, other = tasks[task], values[baseline][task]
            have, p = min(len(own), len(other)), p_value(own, other)
            sizes = f"{len(own)} and {len(other)}"
            if have < 2:
                rows.append((task, agent, sizes, DASH, "at least 1, then ask again: a difference needs 2 of each"))
                continue
            needed = seeds_for_power(own, other, power=power)
            to_go = "no difference to find" if needed is None else _to_go(have, needed)
            rows.append((task, agent, sizes, p_text(p), to_go))
    note = (
        f"Seeds to go of both agents until p < {SIGNIFICANT} with probability {power:g}, before Holm's correction, "
        f"against {baseline}, if the observed difference is the true one. Few seeds overestimate differences."
    )
    return Grid(title=f"Seeds for a power of {power:g}", head=head, rows=rows, notes=(note,))


def _to_go(have: int, needed: int | None) -> str:
    return f"more than {MOST:,}" if needed is None else f"{max(0, needed - have):,}"


def require_positive(name: str, value: float | None, most: float = math.inf) -> None:
    """Raise `InputError` unless the option is left out or lies between 0 and `most`."""
    if value is not None and not 0 < value < most:
        above = "" if most == math.inf else f" and below {most:g}"
        raise problem(f"--{name} above 0{above}", f"{value:g}", "correct it, or leave it out")
