"""What a reader must know to trust the table of a benchmark, or to doubt it."""

from collections.abc import Iterator, Sequence

from rlgen.bench.cells import setting_of
from rlgen.bench.protocol import FLAGS, Agent, Protocol, name_of
from rlgen.bench.references import EXPERT, RANDOM, reference_of
from rlgen.bench.rows import THEN, Results, Row, by_seed

ENOUGH_EPISODES = 50
"""Fewest episodes of an evaluation that is not flagged."""


def flags_of(protocol: Protocol, agent: Agent, rows: Sequence[Row]) -> list[str]:
    """Caveats of a line: those that the protocol declares, and seeds on which settings were chosen."""
    tuned = sorted({row["seed"] for row in rows} & set(protocol.tuned_on))
    own = [f"tuned on seed{'s' if len(tuned) > 1 else ''} {', '.join(map(str, tuned))}"] if tuned else []
    return list(dict.fromkeys([*agent.flags, *own]))


def one_machine(results: Results) -> bool:
    """Whether all rows come from one machine, so that their speeds can be compared."""
    machines = {row.get("machine") for row in results.rows}
    return len(machines) <= 1 and not any(THEN in str(each) for each in machines)


def guards(protocol: Protocol, results: Results, planned: int | None = None) -> list[str]:
    """What a reader must know to trust the table, or to doubt it. `planned`: number of cells of the plan."""
    rows = results.rows
    found = []
    if planned is not None and len(rows) < planned:
        found.append(f"**Unfinished**: {len(rows)} of {planned} cells.")
    found += [f"**Without a value**: {each}." for each in _without_value(protocol, results)]
    found += list(_of_policies(protocol, rows))
    found.append(_seeds(protocol, rows))
    goals = [f"{name} {agent.goal}" for name, agent in protocol.agents.items() if agent.goal]
    found += [f"Goals that were set before the runs: {'; '.join(goals)}."] if goals else []
    flagged = sorted({flag for _, each in groups(protocol, results) for flag in _flags(protocol, each)})
    found += [f"**Flagged**: {flag}." for flag in flagged]
    if not one_machine(results):
        names = sorted({str(row.get("machine")) for row in rows})
        found.append(f"**Machines mixed**, so no speeds: {'; '.join(names)}.")
    commits = sorted({str(row["git_commit"])[:8] for row in rows if row.get("git_commit")})
    if len(commits) > 1:
        found.append(f"**Commits mixed**: {', '.join(commits)}.")
    versions = sorted({str(row["rlgen"]) for row in rows if row.get("rlgen")})
    rules = sorted({str(row["margin_rule"]) for row in rows if row.get("margin_rule")})
    parts = [f"rlgen {', '.join(versions)}"] if versions else []
    parts += [f"contact margins {', '.join(rules)}"] if rules else []
    if parts:
        found.append(f"{'; '.join(parts)}.")
    return found


def _flags(protocol: Protocol, rows: Sequence[Row]) -> list[str]:
    return [f"{rows[0]['agent']}: {flag}" for flag in flags_of(protocol, protocol.agents[rows[0]["agent"]], rows)]


def _of_policies(protocol: Protocol, rows: Sequence[Row]) -> Iterator[str]:
    """Sentences on the evaluation of policies, and on the references that are there or missing."""
    played = [row for row in rows if row.get("evaluation_seed") is not None]
    if not played:
        return
    episodes = sorted({row["episodes"] for row in played if row.get("episodes")})
    seeds = sorted({row["evaluation_seed"] for row in played})
    shared = sorted({row["seed"] for row in played if _is_shared(row)})
    trained = f"**also trained on** with seed {', '.join(map(str, shared))}"
    apart = trained if shared else "apart from the trainings'"
    counts = " to ".join(str(each) for each in dict.fromkeys([episodes[0], episodes[-1]])) if episodes else "?"
    first = "Evaluated while training; then the" if protocol.metric.take != "result" else "The"
    best = sorted({row["agent"] for row in played if FLAGS[0] in protocol.agents[row["agent"]].flags})
    policy = (
        f"**best checkpoint of {', '.join(best)}**, else the final policy," if best else "final policy, not the best,"
    )
    yield (
        f"{first} {policy} plays {counts} episode{'s' * (counts != '1')} from evaluation seed "
        f"{', '.join(map(str, seeds))}, {apart}."
    )
    if episodes and episodes[0] < ENOUGH_EPISODES:
        yield f"**Few episodes**: fewer than {ENOUGH_EPISODES} in an evaluation, so that its mean return is uncertain."
    yield from _of_references(protocol, played)


def _of_references(protocol: Protocol, rows: Sequence[Row]) -> Iterator[str]:
    """Sentences on the rows of random actions, BC and the expert: which tasks have them, and which lack them."""
    lacking: dict[str, list[str]] = {}
    present: list[str] = []
    for task in protocol.tasks:
        mine = [row for row in rows if row["task"] == name_of(task)]
        if not mine:
            continue
        there = {RANDOM: reference_of(protocol, RANDOM, mine) is not None}
        if task.demos:
            there["BC"] = any(protocol.agents[row["agent"]].command == "train bc" for row in mine)
            there[EXPERT] = reference_of(protocol, EXPERT, mine) is not None
        present += [name for name, found in there.items() if found]
        for name in (name for name, found in there.items() if not found):
            lacking.setdefault(name, []).append(name_of(task))
    if lacking:
        parts = [f"{name} (on {', '.join(on)})" if name in present else name for name, on in lacking.items()]
        yield f"**Missing rows**: {', '.join(parts)}."
    elif present:
        yield f"Further rows: {', '.join(dict.fromkeys(present))}."


def _is_shared(row: Row) -> bool:
    """Whether an episode of the evaluation begins like one of the training: environment i of each has seed + i."""
    training, evaluation = row["seed"], row["evaluation_seed"]
    return training < evaluation + (row.get("episodes") or 1) and evaluation < training + (row.get("n_envs") or 1)


def _without_value(protocol: Protocol, results: Results) -> Iterator[str]:
    """Lines of which a seed has no finite value."""
    for (task, trajectories, agent), rows in groups(protocol, results):
        lacking = {row["seed"]: row["value"] for row in rows if row["seed"] not in by_seed(rows)}
        if lacking:
            what = f"{protocol.metric_of(agent).name} of {agent} on {setting_of(task, trajectories)}"
            yield f"{what}, seed {', '.join(f'{seed} ({_reason(value)})' for seed, value in lacking.items())}"


def _reason(value: float | None) -> str:
    return "not among its results" if value is None else f"{value:g}"


def _seeds(protocol: Protocol, rows: Sequence[Row]) -> str:
    seeds = sorted({row["seed"] for row in rows})
    parts = ", ".join(map(str, seeds)) or "none"
    if not protocol.tuned_on:
        return f"Training seeds {parts}; the protocol names no seeds on which settings were chosen."
    return f"Training seeds {parts}; settings were chosen on {', '.join(map(str, protocol.tuned_on))}."


def groups(protocol: Protocol, results: Results) -> list[tuple[tuple[str, int | None, str], list[Row]]]:
    """The rows by (task, trajectories, agent), in the protocol's order."""
    found = []
    for task in [name_of(task) for task in protocol.tasks]:
        numbers = {row["trajectories"] for row in results.rows if row["task"] == task}
        for trajectories in sorted(numbers, key=lambda each: (each is not None, each or 0)):
            for agent in protocol.agents:
                if rows := results.of(task, trajectories, agent):
                    found.append(((task, trajectories, agent), rows))
    return found
