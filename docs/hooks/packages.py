"""The packages as they are installed: `agents/` and `envs/` under `rlgen`, where mkdocstrings looks for them."""

import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).parents[2]
INSTALLED_UNDER_RLGEN = ("agents", "envs")

_folder = tempfile.TemporaryDirectory()


@event_priority(50)  # before mkdocstrings reads its settings
def on_config(config: Any) -> Any:
    """Points mkdocstrings at a folder of links that is laid out like the installed package."""
    package = Path(_folder.name) / "rlgen"
    package.mkdir()
    for path in [*(ROOT / "rlgen").iterdir(), *(ROOT / name for name in INSTALLED_UNDER_RLGEN)]:
        (package / path.name).symlink_to(path)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [_folder.name]
    return config
