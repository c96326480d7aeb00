"""What README and docs show runs as it is written: Python shortened, and command lines up to their parsing."""

import ast
import builtins
import contextlib
import functools
import importlib.util
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import tyro
from stable_baselines3 import PPO

from rlgen.agents import BC, cli
from rlgen.agents.commands import table
from rlgen.agents.commands.choices import taken
from rlgen.data import Demonstrations
from rlgen.data.shipped import shipped_demonstrations
from rlgen.equations.divergences import DIVERGENCES
from rlgen.generators import GENERATORS, TEXT_MODELS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
LANGUAGES = {"python", "bash", "toml", "yaml", "mermaid"}
MOST = 128
"""Environment steps, rows and whatever else a number above it counts."""
MOST_OF = {"n_envs": 2, "codes": 2, "n_eval_episodes": 2}
FOREIGN_PROGRAMS = {"pip", "make", "python", "torchrun"}
TRACKERS = ("wandb", "trackio")
"""Packages that no extra installs."""
FOREIGN_OPTIONS = {"--nnodes", "--rdzv-backend", "--rdzv-endpoint"}
"""Of torchrun, which the text names without it."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: str
    line: int
    """Line of the page before its first."""
    language: str
    code: str
    not_run: str | None
    """Why not, where a comment before it says so."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            text[: found.start("code")].count("\n"),
            found["language"],
            found["code"],
            found["why"],
        )
        for found in BLOCK.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
RUN = [block for block in PYTHON if block.not_run is None]


def rlgen_lines(code: str) -> list[list[str]]:
    """Arguments of every `rlgen` in lines of a shell, also of one that another program starts."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "--no-python" in words:
            words = words[words.index("--no-python") + 1 :]
        if words[:1] == ["rlgen"]:
            found.append(words[1:])
    return found


SHELL = [block for block in ALL if block.language == "bash" and "does not exist" not in (block.not_run or "")]
COMMANDS = [(block, words) for block in SHELL for words in rlgen_lines(block.code)]


class Shorten(ast.NodeTransformer):
    """Large numbers become small ones; nothing else changes."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant(MOST), node) if type(node.value) is int and node.value > MOST else node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        if node.arg in MOST_OF and isinstance(node.value, ast.Constant):
            node.value.value = min(node.value.value, MOST_OF[node.arg])
        return node


def compiled(block: Block, tree: ast.Module) -> Any:
    return compile(ast.increment_lineno(ast.fix_missing_locations(tree), block.line), block.page, "exec")


@pytest.fixture(scope="session")
def ant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demonstrated episode."""
    path = tmp_path_factory.mktemp("demonstrations") / "ant.npz"
    Demonstrations.load(shipped_demonstrations("Ant-v5")).first(1).save(path)
    return path


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small rollouts and few gradient steps where a page leaves them to the defaults."""
    fit = BC._fit
    monkeypatch.setattr(PPO, "__init__", functools.partialmethod(PPO.__init__, n_steps=32, batch_size=32, n_epochs=1))
    monkeypatch.setattr(
        BC, "_fit", lambda bc, config, *rest: fit(bc, replace(config, max_updates=20, check_every=10), *rest)
    )


@pytest.fixture
def new_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page may add a divergence to the table. Types, which name the choices, are checked in tests alone."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    before = dict(DIVERGENCES)
    yield
    DIVERGENCES.clear()
    DIVERGENCES.update(before)


@pytest.mark.usefixtures("short_trainings", "new_names")
@pytest.mark.parametrize("block", RUN, ids=str)
def test_python_runs(block: Block, ant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a namespace of its own and an empty folder, but for a demonstration where the page reads one."""
    if f'"{ant.name}"' in block.code:
        shutil.copy(ant, tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compiled(block, Shorten().visit(ast.parse(block.code))), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [block for block in PYTHON if block.not_run], ids=str)
def test_python_that_is_not_run_imports_what_it_needs(block: Block) -> None:
    tree = ast.parse(block.code)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    absent = {each for each in TRACKERS if importlib.util.find_spec(each) is None}
    names: dict[str, Any] = dict.fromkeys(absent)
    imports = [node for node in imports if not {each.name for each in node.names} & absent]
    exec(compiled(block, ast.Module(imports, type_ignores=[])), names)
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assigned = {node.id for node in used if isinstance(node.ctx, ast.Store)}
    assert {node.id for node in used} - assigned - set(names) <= set(dir(builtins))


@pytest.mark.parametrize(("block", "words"), COMMANDS, ids=str)
def test_command_lines_are_valid(block: Block, words: list[str]) -> None:
    found = table.find(words)
    assert found is not None, words
    kind, rest = table.settings_for(table.load(found[0]), found[1]), found[1]
    for option in getattr(kind, "taken_first", ()):  # its file need not exist
        _, rest = taken(rest, option)
    assert isinstance(tyro.cli(kind, args=rest), kind)


def options_of(words: list[str]) -> set[str]:
    """Options that the help of a command shows."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        cli.main([*words, "--help-all"])
    return set(re.findall(r"(?<![\w-])--[a-z][\w.-]*\w", shown.getvalue()))


def test_options_named_in_the_text_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    options = set(FOREIGN_OPTIONS)
    for command in cli.COMMANDS:
        options |= options_of(command.words.split())
    for model in GENERATORS:
        options |= options_of(["train", "image", "--model", model])
    for model in TEXT_MODELS:
        options |= options_of(["train", "text", "--model", model])
    for page in PAGES:
        for span in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text(encoding="utf-8"))):
            if span.split()[0] in FOREIGN_PROGRAMS:
                continue
            for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", span):
                assert option in options, f"{page.name}: {option}"


def test_links_of_the_readme_lead_somewhere() -> None:
    """Those of other pages are checked where the site is built."""
    for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_code_stands_in_blocks_of_a_known_language() -> None:
    assert {block.language for block in ALL} == LANGUAGES
    for page in PAGES:
        rest = BLOCK.sub("", page.read_text(encoding="utf-8"))
        assert "```" not in rest, page.name
        assert not re.search(r"^    \S", rest, re.M), f"{page.name}: indented code"


def test_pages_show_what_is_tested() -> None:
    assert {block.page for block in RUN} >= {
        "README.md",
        "docs/curiosity.md",
        "docs/imitation_variants.md",
        "docs/image_models.md",
        "docs/imitation.md",
        "docs/quickstart.md",
        *(f"docs/extend/{page}.md" for page in ("agent", "divergence", "image_model", "penalty", "reward_source")),
    }
    assert {block.page for block, _ in COMMANDS} >= {"README.md", "docs/gpu.md", "docs/environments.md"}
