"""Records the versions and the machine of each resume, because others may give other numbers."""

import logging
from datetime import UTC, datetime
from typing import Any

from rlgen.runs.folder import RunFolder
from rlgen.runs.json_file import write_json
from rlgen.system.versions import describe

log = logging.getLogger("rlgen")


def record_resume(folder: RunFolder, device: str) -> dict[str, Any]:
    """Append this resume, with the differences from the run's start, to `sittings` in versions.json, and warn of them.

    Returns the differences by name, each `[at the start, now]`.
    """
    began = folder.versions
    resumes = began.pop("sittings", [])
    then, now = flat(began), flat(describe(device))
    changed = {name: [then.get(name), now.get(name)] for name in sorted(then | now) if then.get(name) != now.get(name)}
    resume = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "changed": changed}
    write_json(folder / "versions.json", {**began, "sittings": [*resumes, resume]})
    if changed:
        listed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())
        log.warning("the run continues with other versions than it started with, so its numbers may differ: %s", listed)
    return changed


def flat(versions: dict[str, Any]) -> dict[str, Any]:
    """One flat mapping of the versions, packages included."""
    rest = {name: value for name, value in versions.items() if name != "packages"}
    return {**rest, **versions.get("packages", {})}
