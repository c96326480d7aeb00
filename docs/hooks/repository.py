"""Links of the pages to files of the repository outside docs/: the site takes these files along."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
FOLDER = "repository"
"""Where the site has them."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def linked(uri: str, text: str) -> dict[str, str]:
    """Targets that page `uri`, its path in the repository, links to, and their paths in the repository."""
    folder = posixpath.dirname(uri)
    return {found[1]: posixpath.normpath(posixpath.join(folder, found[1])) for found in LINK.finditer(text)}


def on_files(files: Any, config: Any) -> Any:
    """Adds what the pages of docs/ link to, and what pages so added link to in turn."""
    waiting = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    while waiting:
        for path in linked(*waiting.pop()).values():
            source, uri = ROOT / path, f"{FOLDER}/{path}"
            if path.startswith(("docs/", "../")) or not source.is_file() or files.get_file_from_path(uri):
                continue
            if source.suffix == ".md":
                files.append(File.generated(config, uri, content=source.read_text(encoding="utf-8")))
                waiting.append((path, source.read_text(encoding="utf-8")))
            else:
                files.append(File.generated(config, uri, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as the site has them."""
    here = page.file.src_uri
    inside = here.removeprefix(f"{FOLDER}/")
    targets = linked(inside if inside != here else f"docs/{here}", markdown)

    def link(found: re.Match[str]) -> str:
        path = targets[found[1]]
        uri = path.removeprefix("docs/") if path.startswith("docs/") else f"{FOLDER}/{path}"
        if not here.startswith("notebooks/"):  # the page of a notebook has a link to the notebook itself
            uri = uri.replace(".ipynb", ".md")
        return posixpath.relpath(uri, posixpath.dirname(here) or ".") + (found[2] or "")

    return LINK.sub(link, markdown)
