"""Examples in docstrings say what is so."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"rlgen": ROOT / "rlgen", "rlgen.agents": ROOT / "agents", "rlgen.envs": ROOT / "envs"}


def modules() -> list[tuple[str, Path]]:
    """Name and file of every module with an example."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [part for part in path.relative_to(folder).with_suffix("").parts if part != "__init__"]
            if ">>> " in path.read_text(encoding="utf-8"):
                found.append((".".join([package, *parts]), path))
    return found


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_examples_in_docstrings_are_right(name: str, path: Path) -> None:
    """Docstrings are read from the source: the checking of shapes hides functions from `doctest`'s own search."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            names = dict(vars(importlib.import_module(name)))
            where = getattr(node, "name", name)
            runner.run(
                doctest.DocTestParser().get_doctest(text, names, f"{name}.{where}", str(path), node.body[0].lineno)
            )
    assert runner.tries
    assert not runner.failures


def test_public_packages_have_examples() -> None:
    assert {name.split(".")[1] for name, _ in modules()} >= {"data", "envs", "equations", "nn"}
