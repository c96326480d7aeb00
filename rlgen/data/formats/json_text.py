"""JSON objects in files that strangers wrote."""

import json
from pathlib import Path
from typing import Any

from rlgen.data.damage import reading
from rlgen.errors import problem


def json_object(content: str | bytes, what: str, path: Path) -> dict[str, Any]:
    """The JSON object in `content`.

    Raises:
        InputError: no JSON, or of another type; the message names `what` of `path`.
    """
    with reading(f"JSON object under {what!r}", path):
        found = json.loads(content)
    if not isinstance(found, dict):
        raise problem(f"a JSON object as {what!r}", f"{type(found).__name__} in {path}", "write the file again")
    return found


def json_file(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty where there is no file."""
    if not path.is_file():
        return {}
    with reading("JSON file", path):
        content = path.read_bytes()
    return json_object(content, path.name, path)
