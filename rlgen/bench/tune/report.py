"""What `rlgen tune` leaves: tune.md with every trial, and winner.toml, a protocol of the winner and the defaults."""

import shlex
from collections.abc import Mapping, Sequence

from rlgen.bench.cells import Cell, typed
from rlgen.bench.protocol import Options
from rlgen.bench.statistics import Scores
from rlgen.bench.statistics_comparison import difference
from rlgen.bench.tune.file import DEFAULT, WINNER, protocol_text
from rlgen.bench.tune.objective import name_of_interval, per_seed
from rlgen.bench.tune.search import Tuning, name_of_trial, shown
from rlgen.bench.tune.study import Tried
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, over_runs
from rlgen.system.console import number
from rlgen.system.files import atomic_write

TUNED, WINNERS_PROTOCOL = "tune.md", "winner.toml"
OPTIMISTIC = (
    "The objective of the winner is optimistic: it is the best of several noisy ones, on the seeds that chose it. "
    "Quote the fresh seeds."
)


def write_report(tuning: Tuning, best: Tried | None) -> str:
    """Write tune.md, and with a winner winner.toml. Returns the text of tune.md."""
    found = tuning.found
    parts = [
        f"# Tuning of {found.tune.agent}: {found.protocol.title}",
        "",
        *_sentences(tuning),
        "",
        *_trials(tuning, best),
    ]
    if best is not None:
        parts += ["", *_fresh(tuning, best), "", *_winner(tuning, best)]
        agents = {
            WINNER: found.agent(best.options, found.tune.fresh_seeds),
            DEFAULT: found.agent({}, found.tune.fresh_seeds),
        }
        agents = agents if tuning.cells_of(WINNER) else {DEFAULT: agents[DEFAULT]}
        atomic_write(tuning.path / WINNERS_PROTOCOL, protocol_text(found.protocol_of(agents, "Winner of the tuning")))
    text = "\n".join([*parts, ""])
    atomic_write(tuning.path / TUNED, text)
    return text


def _sentences(tuning: Tuning) -> list[str]:
    found, tune = tuning.found, tuning.found.tune
    metric = found.protocol.metric_of(tune.agent).title
    what = f"mean normalized {metric} of all tasks" if found.normalized else metric
    end = "lower" if found.direction == "high" else "upper"
    rule = {"halving": "successive halving", "median": "the median of complete trials"}.get(tune.pruner)
    pruned = f"Pruned by {rule}, over seeds and steps; a pruned training has saved, and `rlgen resume` continues it."
    return [
        f"- Objective: the {end} end of the {name_of_interval(len(tune.seeds))}, of {what}.",
        f"- Seeds of the trials {_listed(tune.seeds)}; fresh seeds {_listed(tune.fresh_seeds)}.",
        f"- {pruned if rule else 'No trial was pruned.'}",
        f"- {OPTIMISTIC}",
    ]


def _trials(tuning: Tuning, best: Tried | None) -> list[str]:
    """The table of all trials: options, value of every seed, objective."""
    tune = tuning.found.tune
    head = ["trial", *tune.space, *(f"seed {seed}" for seed in tune.seeds), "objective", "end"]
    rows = []
    for tried in tuning.study.tried():
        name = name_of_trial(tried.number if tried.same_as is None else tried.same_as)
        cells = tuning.cells_of(name)
        values = per_seed(cells, tuning.scores_of(cells))
        mark = "**" if best is not None and tried.number == best.number else ""
        rows.append(
            [
                f"{mark}{tried.number}{mark}",
                *(shown(tried.options.get(option, "–")) for option in tune.space),
                *(number(values[seed]) if seed in values else "–" for seed in tune.seeds),
                "–" if tried.objective is None else f"{mark}{number(tried.objective)}{mark}",
                f"{tried.state}{f' {tried.note}' if tried.note else ''}",
            ]
        )
    return ["## Trials", "", *_table(head, rows)]


def _fresh(tuning: Tuning, best: Tried) -> list[str]:
    """Winner and defaults on the fresh seeds, and their difference."""
    seeds = tuning.found.tune.fresh_seeds
    scores = {name: _scores(tuning, tuning.cells_of(name)) for name in (WINNER, DEFAULT)}
    rows = []
    for name in (WINNER, DEFAULT):
        cells = tuning.cells_of(name)
        values = per_seed(cells, tuning.scores_of(cells))
        if values:
            each = [number(values[seed]) if seed in values else "–" for seed in seeds]
            rows.append([name, *each, over_runs(list(values.values()), number)])
    legend = "interquartile mean [95 % interval]" if len(seeds) >= ENOUGH_FOR_INTERVAL else "mean (lowest to highest)"
    lines = ["## On fresh seeds", "", *_table(["agent", *(f"seed {seed}" for seed in seeds), legend], rows), ""]
    if not tuning.cells_of(WINNER):
        return [*lines, f"Trial {best.number} has the defaults: no other options were better."]
    if not scores[WINNER] or set(scores[WINNER]) != set(scores[DEFAULT]):
        return [*lines, "Trainings are missing, so there is no difference."]
    enough = min(len(values) for each in scores.values() for values in each.values()) >= ENOUGH_FOR_INTERVAL
    apart = difference(scores[WINNER], scores[DEFAULT], "iqm" if enough else "mean")
    middle = "interquartile means" if enough else "means"
    paired = all(set(scores[WINNER][task]) == set(scores[DEFAULT][task]) for task in scores[WINNER])
    interval = (
        f" [{number(apart.interval[0])}, {number(apart.interval[1])}], 95 % bootstrap interval"
        f"{' paired by seed' if paired else ''}"
        if apart.interval
        else f"; too few fresh seeds for an interval, {ENOUGH_FOR_INTERVAL} are enough"
    )
    low = "" if tuning.found.direction == "high" else " Low values are good."
    shown_by = apart.interval is None or not apart.interval[0] <= 0 <= apart.interval[1]
    doubt = "" if shown_by else " The interval contains 0, so no difference is shown."
    return [*lines, f"Winner minus defaults ({middle}): {number(apart.value)}{interval}.{low}{doubt}"]


def _scores(tuning: Tuning, cells: Sequence[Cell]) -> Scores:
    """Setting → seed → score of the cells that are done."""
    known: Mapping[str, float] = tuning.scores_of(cells)
    found: dict[str, dict[int, float]] = {}
    for cell in cells:
        if cell.id in known:
            found.setdefault(cell.setting, {})[cell.seed] = known[cell.id]
    return found


def _winner(tuning: Tuning, best: Tried) -> list[str]:
    """The options of the winner, as TOML and as a command line."""
    import tomli_w

    tune = tuning.found.tune
    (cell, *_) = tuning.found.cells_of(best.options, tune.fresh_seeds, WINNER)
    options: Options = {name: value for name, value in cell.options.items() if name not in ("threads", "video")}
    options |= {} if cell.demos is None else {"demos": cell.demos}
    toml = tomli_w.dumps({"options": dict(best.options)}).strip()
    command = shlex.join(["rlgen", *cell.command.split(), *typed(options), "--out", "DIR"])
    data = " --data FOLDER" if any(task.demos for task in tuning.found.tasks) else ""
    again = f"rlgen bench run {WINNERS_PROTOCOL} --out DIR{data}"
    return [
        "## The winner's options", "",
        f"Trial {best.number}:", "",
        "```toml", toml, "```", "",
        "```bash", command, "```", "",
        f"`{again}` in this folder trains winner and defaults again on the fresh seeds.",
    ]  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
