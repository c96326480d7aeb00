"""Notebooks as pages: their text, code and outputs."""

import base64
import posixpath
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File


def outputs_of(cell: Any, name: str, images: dict[str, bytes]) -> list[str]:
    """What a cell printed or drew, in Markdown; pictures join `images`."""
    parts = []
    for number, output in enumerate(cell.outputs):
        data = output.get("data", {})
        if "image/png" in data:
            images[f"{name}-{number}.png"] = base64.b64decode(data["image/png"])
            parts.append(f"![{name}]({name}-{number}.png)")
        elif text := output.get("text") or data.get("text/plain"):
            parts.append(f"```text\n{text.rstrip()}\n```")
    return parts


def page_of(path: Path) -> tuple[str, dict[str, bytes]]:
    """Markdown of a notebook, and its pictures by name."""
    images: dict[str, bytes] = {}
    parts = []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
        if cell.cell_type == "code":
            parts += outputs_of(cell, f"{path.stem}-{number}", images)
    return "\n\n".join(parts), images


def on_files(files: Any, config: Any) -> Any:
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        text, images = page_of(Path(file.abs_src_path))
        text += f"\n\n[This notebook as a file]({posixpath.basename(file.src_uri)})\n"
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=text))
        for name, content in images.items():
            uri = posixpath.join(posixpath.dirname(file.src_uri), name)
            files.append(File.generated(config, uri, content=content))
    return files
