"""Tables of how a policy follows instructions: success by what is asked for, and asked against reached objects."""

from collections import Counter
from collections.abc import Sequence

from rlgen.data.cells import OBJECTS
from rlgen.data.clauses import KINDS, Clause, first_clause
from rlgen.data.words import COLORS
from rlgen.reports.page import Section
from rlgen.reports.tables import Row, Table, percent, reading
from rlgen.runs.folder import RunFolder
from rlgen.runs.instruction_episodes import EPISODES, InstructionEpisodes

GROUPS = {"kind": KINDS.values(), "object": OBJECTS.values(), "color": COLORS}
"""Groups of rows, each by the field of a `Clause`, and the values of the field in their order."""
NONE = "none"
FOLLOWED_NOTE = (
    "Episodes of the final evaluation, by the first clause of the instruction and the object that it is about, which "
    "need not have a color or a kind. Reached: share of those with a single clause in which the object that the agent "
    "reached has the color and the kind that were asked for, whether or not it did with it what it should."
)
REACHED = (
    "Numbers of episodes, by the {part} that was asked for (rows) and that of the object that the agent reached "
    "(columns): the last object in front of it, or, where it was to pick up or put something, the one that it carries "
    "at the end, if any. Instructions with several clauses are left out."
)


def instruction_sections(folder: RunFolder) -> list[Section]:
    """The sections of a run on a task with instructions; none for another run, or for other missions than BabyAI's."""
    if not (folder / EPISODES).is_file():
        return []
    episodes = InstructionEpisodes.read(folder)
    clauses = {row: found for row, text in enumerate(episodes.instruction) if (found := first_clause(text))}
    reached = {row: _reached(episodes, row, clause) for row, clause in clauses.items() if clause.alone}
    sections = [Section(title="Instructions", table=Table(_rows(episodes, clauses, reached)), note=FOLLOWED_NOTE)]
    if episodes.faced is None:
        return sections
    for part, place in {"object": -1, "color": 0}.items():
        pairs = [(getattr(clauses[row], part), name.split(" ")[place] or NONE) for row, name in reached.items()]
        table = Table(_matrix([pair for pair in pairs if pair[0]], [*GROUPS[part], NONE]))
        sections.append(Section(title=f"Asked and reached {part}", table=table, note=REACHED.format(part=part)))
    return sections


def _rows(episodes: InstructionEpisodes, clauses: dict[int, Clause], reached: dict[int, str]) -> list[Row]:
    """Episodes, success, SPL and reached objects for each value of each field of a clause that there is."""
    lines = []
    for part, values in GROUPS.items():
        rows_of = {
            value: [row for row, clause in clauses.items() if getattr(clause, part) == value] for value in values
        }
        present = {value: rows for value, rows in rows_of.items() if rows}
        if present:
            lines.append(Row(name="instruction" if part == "kind" else part, kind="group"))
        for value, rows in present.items():
            more = {"episodes": str(len(rows)), "success": percent(episodes.success_rate(rows))}
            if episodes.bot_steps is not None:
                more["SPL"] = reading(episodes.spl(rows))
            if episodes.faced is not None:
                right = [clauses[row].is_about(reached[row]) for row in rows if row in reached]
                more["reached"] = percent(sum(right) / len(right) if right else None)
            lines.append(Row(name=value, more=more))
    return lines


def _reached(episodes: InstructionEpisodes, row: int, clause: Clause) -> str:
    """Name of the object that the agent reached; empty for none."""
    if episodes.carried is None or episodes.faced is None:
        return ""
    takes = clause.kind in (KINDS["pick"], KINDS["put"])
    return (episodes.carried[row] if takes else "") or episodes.faced[row]


def _matrix(pairs: Sequence[tuple[str, str]], values: Sequence[str]) -> list[Row]:
    """One row for each value that was asked for, one column for each that was asked for or reached."""
    counts, present = Counter(pairs), {value for pair in pairs for value in pair}
    columns = [value for value in values if value in present]
    return [
        Row(name=asked, more={column: str(counts[asked, column]) for column in columns})
        for asked in columns
        if any(pair[0] == asked for pair in pairs)
    ]
