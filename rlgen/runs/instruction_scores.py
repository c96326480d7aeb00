"""How well a policy follows instructions: its success rate and SPL."""

from rlgen.data.clauses import KINDS
from rlgen.display import Metric
from rlgen.runs.instruction_episodes import InstructionEpisodes

METRICS = (
    Metric("success_rate", "success", share=True),
    *(Metric(f"success_{word}", f"success, {kind}", share=True) for word, kind in KINDS.items()),
    Metric("spl", "SPL"),
)
"""The scores of a result."""


def instruction_scores(episodes: InstructionEpisodes | None) -> dict[str, float]:
    """Scores of the episodes by name; empty without any.

    - `success_rate`: share of the episodes with a reward, also for each kind of instructions, if there are several.
    - `spl`, on BabyAI: success weighted by path length (`InstructionEpisodes.spl`).
    """
    if episodes is None:
        return {}
    rows_of = {
        word: [row for row, text in enumerate(episodes.instruction) if text.partition(" ")[0] == word] for word in KINDS
    }
    present = {word: rows for word, rows in rows_of.items() if rows}
    everything = list(range(len(episodes.instruction)))
    scores = {"success_rate": episodes.success_rate(everything)}
    if len(present) > 1:
        scores |= {f"success_{word}": episodes.success_rate(rows) for word, rows in present.items()}
    found = episodes.spl(everything)
    return scores if found is None else {**scores, "spl": found}
