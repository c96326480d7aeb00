"""What the table is followed by: numbers over tasks, comparisons of agents, and times to a threshold."""

from collections.abc import Iterator, Sequence

from rlgen.bench.cells import setting_of
from rlgen.bench.grid import Grid, without_tags
from rlgen.bench.guards import groups
from rlgen.bench.protocol import Metric, Protocol, name_of
from rlgen.bench.rows import Results, Row, Seeds, by_seed
from rlgen.bench.statistics import Aggregates, Estimate, Scores, aggregates
from rlgen.bench.statistics_comparison import Comparison, compare, probability_of_improvement
from rlgen.bench.statistics_power import fewest_seeds
from rlgen.bench.statistics_survival import Crossing, TimeToThreshold, time_to_threshold
from rlgen.bench.table import DASH, grid, writer_of
from rlgen.reports.tables import count

TOO_FEW = "Too few seeds for an interval (five runs in all, three of each task)"
SIGNIFICANT = 0.05


def summary(protocol: Protocol, results: Results) -> list[Grid]:
    """The tables after the first one that have something to show."""
    found = [over_tasks(protocol, results), comparisons(protocol, results), times(protocol, results)]
    return [grid for grid in found if grid]


def markdown(protocol: Protocol, results: Results, planned: int | None = None) -> str:
    """table.md: the table with its guards, then the other tables."""
    parts = [f"# {without_tags(protocol.title)}", "", grid(protocol, results, planned).markdown()]
    for each in summary(protocol, results):
        parts += [f"## {without_tags(each.title)}", "", each.markdown()]
    return "\n".join(parts)


def direction(metric: Metric) -> float:
    """1 if higher is better, else −1: a metric times it is better the higher it is."""
    return 1.0 if metric.better == "high" else -1.0


def scores_of(protocol: Protocol, results: Results) -> dict[str, dict[str, Seeds]]:
    """Agent → task and trajectories → normalized score of each seed. They rise with success for every metric."""
    return _by_agent(protocol, results, "score")


def values_of(protocol: Protocol, results: Results, metric: Metric) -> dict[str, dict[str, Seeds]]:
    """The same of the metric, turned so that higher is better, for the agents that it evaluates."""
    found = _by_agent(protocol, results, "value", direction(metric))
    return {agent: tasks for agent, tasks in found.items() if protocol.metric_of(agent) == metric}


def _by_agent(protocol: Protocol, results: Results, column: str, sign: float = 1.0) -> dict[str, dict[str, Seeds]]:
    found: dict[str, dict[str, Seeds]] = {}
    for (task, trajectories, agent), rows in groups(protocol, results):
        if seeds := by_seed(rows, column, sign):
            found.setdefault(agent, {})[setting_of(task, trajectories)] = seeds
    return {agent: found[agent] for agent in protocol.agents if agent in found}


def written(estimate: Estimate, digits: int | None = None) -> str:
    """The number with its interval, if it has one."""
    numbers = (estimate.value, *(estimate.interval or ()))
    write = writer_of(numbers) if digits is None else lambda value: f"{value:.{digits}f}"
    value, *ends = map(write, numbers)
    return f"{value} [{', '.join(ends)}]" if ends else value


def over_tasks(protocol: Protocol, results: Results) -> Grid:
    """The aggregates of normalized scores of each agent, if it has two tasks or more."""
    scores = scores_of(protocol, results)
    tasks = list(dict.fromkeys(task for own in scores.values() for task in own))
    baseline = protocol.baseline_agent
    title = "Over tasks"
    head = ("agent", "tasks", "runs", "IQM", "mean", "median", "optimality gap", "P(better)")
    if len(tasks) < 2:
        return Grid(title=title, head=head)
    found = {agent: aggregates(own) for agent, own in scores.items()}
    rows = []
    for agent, each in found.items():
        own = scores[agent]
        runs = sum(map(len, own.values()))
        better = _improvement(own, scores.get(baseline, {})) if agent != baseline else None
        numbers = [written(number, 2) for number in each]
        rows.append((agent, f"{len(own)} of {len(tasks)}", str(runs), *numbers, better or DASH))
    notes = tuple(_of_aggregates(scores, found, tasks, baseline))
    return Grid(title=title, head=head, rows=rows, notes=notes)


def _improvement(own: Scores, other: Scores) -> str | None:
    """The probability of improvement over the tasks that both have."""
    both = [task for task in own if task in other]
    if not both:
        return None
    found = probability_of_improvement({task: own[task] for task in both}, {task: other[task] for task in both})
    return written(found, 2)


def _of_aggregates(
    scores: dict[str, dict[str, Seeds]], found: dict[str, Aggregates], tasks: list[str], baseline: str
) -> Iterator[str]:
    yield (
        "Normalized scores, 0 random and 1 the reference, of the final policies. IQM: interquartile mean of all runs; "
        "optimality gap: mean shortfall from 1, the lower the better. Tasks weigh equally, and every number of "
        "trajectories counts as a task. [95 % intervals]: stratified bootstrap over seeds."
    )
    yield (
        f"P(better): probability that a run has a higher score than one of {baseline} on the same task, over the tasks "
        "that both have."
    )
    few = [agent for agent, each in found.items() if each.iqm.interval is None]
    if few:
        yield f"{TOO_FEW}: {', '.join(few)}."
    partial = [agent for agent, own in scores.items() if len(own) < len(tasks)]
    if partial:
        yield f"**Different tasks**: {', '.join(partial)} without all tasks, so these rows are not comparable."


def comparisons(protocol: Protocol, results: Results) -> Grid:
    """Every agent against the baseline, task by task."""
    baseline = protocol.baseline_agent
    metric = protocol.metric_of(baseline)
    values = values_of(protocol, results, metric)
    head = ("task", "agent", "difference", "P(better)", "p", "p (Holm)", "seeds")
    title = f"Against {baseline}"
    if baseline not in values or len(values) < 2:
        return Grid(title=title, head=head)
    found = sorted(compare(values, baseline), key=lambda each: list(values[baseline]).index(each.task))
    rows = [
        (
            each.task,
            each.agent,
            _signed(each.difference),
            written(each.improvement, 2),
            p_text(each.p),
            p_text(each.p_holm),
            seeds_text(values[each.agent][each.task], values[baseline][each.task], each.paired),
        )
        for each in found
    ]
    return Grid(title=title, head=head, rows=rows, notes=tuple(_of_comparisons(metric, values, found, baseline)))


def _of_comparisons(
    metric: Metric, values: dict[str, dict[str, Seeds]], found: list[Comparison], baseline: str
) -> Iterator[str]:
    sides = "agent − baseline" if metric.better == "high" else "baseline − agent, because lower is better"
    yield (
        f"Difference: of the interquartile means of {metric.title}, {sides}; above 0 the agent is better. "
        f"P(better): probability that its run is better than one of {baseline}."
    )
    sizes = [
        (min(len(values[each.agent][each.task]), len(values[each.baseline][each.task])), each.paired) for each in found
    ]
    if any(each.difference.interval is None for each in found):
        yield f"{TOO_FEW} where a difference has none."
    yield (
        "p: of no difference, by the sign-flip test of the same seeds or the Mann-Whitney test of different ones; "
        "Holm: corrected for all rows of this table."
    )
    if any(size < fewest_seeds(SIGNIFICANT, paired=paired) for size, paired in sizes):
        paired, other = (fewest_seeds(SIGNIFICANT, paired=kind) for kind in (True, False))
        yield f"With fewer than {paired} same or {other} different seeds, p is never below {SIGNIFICANT}."


def _signed(estimate: Estimate) -> str:
    text = written(estimate)
    return f"+{text}" if estimate.value > 0 else text


def p_text(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def seeds_text(own: Seeds, other: Seeds, paired: bool) -> str:
    return f"{len(own)} pair{'' if len(own) == 1 else 's'}" if paired else f"{len(own)} and {len(other)}"


def times(protocol: Protocol, results: Results) -> Grid:
    """The times to the threshold, on the tasks that have one."""
    head = ("task", "agent", "median", "restricted mean", "reached", "threshold", "horizon")
    rows = []
    for task in protocol.tasks:
        mine = [each for each in groups(protocol, results) if each[0][0] == name_of(task)]
        for setting in dict.fromkeys(key[:2] for key, _ in mine):
            crossings = {key[2]: crossings_of(own) for key, own in mine if key[:2] == setting}
            crossings = {agent: each for agent, each in crossings.items() if each}
            if task.threshold is None or not crossings:
                continue
            for agent, found in survivals(crossings).items():
                reached = f"{found.reached} of {found.runs}"
                texts = (_steps(found), _restricted(found), reached, f"{task.threshold:,g}", count(found.horizon))
                rows.append((setting_of(*setting), agent, *texts))
    note = (
        f"Environment steps until {protocol.figure.label} first reaches the threshold. Runs that never do are censored "
        "at their end, not left out: the median is the time by which half of the runs have reached it (Kaplan-Meier), "
        "and in the restricted mean they count with the horizon."
    )
    return Grid(title="Time to the threshold", head=head, rows=rows, notes=(note,) if rows else ())


def crossings_of(rows: Sequence[Row]) -> list[Crossing]:
    """When each run with a curve reached the threshold, or ended without."""
    found = []
    for row in rows:
        time = row.get("time_to_threshold")
        end = row.get("last_step") if time is None else time
        if end is not None:
            found.append(Crossing(float(end), time is not None))
    return found


def survivals(crossings: dict[str, list[Crossing]]) -> dict[str, TimeToThreshold]:
    """The times of every agent of a task, with one horizon: the end of the shortest of the agents' longest runs."""
    longest = {agent: max(each.time for each in own) for agent, own in crossings.items()}
    open_ = [longest[agent] for agent, own in crossings.items() if not all(each.reached for each in own)]
    horizon = min(open_) if open_ else max(longest.values())
    return {agent: time_to_threshold(own, horizon=horizon) for agent, own in crossings.items()}


def _steps(found: TimeToThreshold) -> str:
    return f"later than {count(found.horizon)}" if found.median is None else count(found.median)


def _restricted(found: TimeToThreshold) -> str:
    mean, interval = found.restricted_mean
    return count(mean) if interval is None else f"{count(mean)} [{count(interval[0])}, {count(interval[1])}]"
