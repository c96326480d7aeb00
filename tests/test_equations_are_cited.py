"""Every equation says whence it comes and is checked somewhere: read from the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Author and year, or the repository whose code is the only publication.
CITATION = re.compile(r"[A-Z]\w+.*\s(1[789]|20)\d\d\b|openai/imitation", re.DOTALL)
PLAIN_CALCULUS = {"input_gradient"}


def equations() -> list[tuple[str, ast.FunctionDef]]:
    """(file:function, its syntax tree) for every public function of rlgen/equations."""
    found = []
    for path in sorted((ROOT / "rlgen" / "equations").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found.append((f"{path.name}:{node.name}", node))
    return found


EQUATIONS = equations()
each_equation = pytest.mark.parametrize(
    "function", [node for _, node in EQUATIONS], ids=[name for name, _ in EQUATIONS]
)


@each_equation
def test_the_equation_cites_its_source(function: ast.FunctionDef) -> None:
    docstring = ast.get_docstring(function) or ""
    assert docstring, "no docstring"
    assert function.name in PLAIN_CALCULUS or CITATION.search(docstring), docstring


@each_equation
def test_the_equation_annotates_every_argument(function: ast.FunctionDef) -> None:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    assert [argument.arg for argument in arguments if argument.annotation is None] == []
    assert function.returns is not None


@each_equation
def test_the_equation_is_named_in_a_test(function: ast.FunctionDef) -> None:
    tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "equations").rglob("test_*.py"))
    assert any(re.search(rf"\b{function.name}\b", text) for text in tests)
