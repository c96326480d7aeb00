"""Runs that differ in nothing but the seed, or in what does not matter, belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlgen.runs import report_page as html
from rlgen.runs.folder import RunFolder, agent_name
from rlgen.runs.scores import over_runs_title

# What does not make a run another experiment.
INCIDENTAL = {
    "seed", "out", "video", "device", "threads", "checkpoint_every", "evaluate_every", "log_every", "imports",
}  # fmt: skip


@dataclass(frozen=True)
class Kin:
    """Runs of one experiment: same configuration, other seeds."""

    label: str
    """Names what tells it apart from the others; no two have the same."""
    env: str
    """Empty for image models."""
    runs: tuple[RunFolder, ...]


def kin(folders: Sequence[RunFolder]) -> list[Kin]:
    """Group by environment, agent and configuration, in the order given; labels name what tells groups apart."""
    found: dict[str, list[RunFolder]] = {}
    for folder in folders:
        found.setdefault(repr(sorted(_identity(folder).items())), []).append(folder)
    identities = [_identity(runs[0]) for runs in found.values()]
    groups: list[Kin] = []
    for identity, runs in zip(identities, found.values(), strict=True):
        label, env = _label(identity, identities), str(identity.get("env", ""))
        if any((label, env) == (other.label, other.env) for other in groups):
            label = f"{label}, {runs[0].path.name}"
        groups.append(Kin(label, env, tuple(runs)))
    return groups


def shared_lines_note(sizes: Sequence[int]) -> str:
    """How to read the line that groups of so many runs each have; empty where none has two."""
    title = over_runs_title(sizes)
    return f"Runs that differ in nothing but the seed share a line: {title}." if title else ""


def _identity(folder: RunFolder) -> dict[str, Any]:
    """The configuration that two seeds of one experiment share."""
    return {name: str(value) for name, value in html.flat(folder.config).items() if name not in INCIDENTAL}


def _label(identity: dict[str, Any], everyone: Sequence[dict[str, Any]]) -> str:
    """The agent, and the settings in which it differs from the same agent's other groups on that environment."""
    own = (agent_name(identity), identity.get("env"))
    others = [other for other in everyone if (agent_name(other), other.get("env")) == own]
    telling = [name for name in identity if any(other.get(name) != identity[name] for other in others)]
    # Of a path the last part is enough to tell by.
    settings = [f"{name.rpartition('.')[2]} {identity[name].rpartition('/')[2]}" for name in telling[:3]]
    return ", ".join([agent_name(identity), *settings])
