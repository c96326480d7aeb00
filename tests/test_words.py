"""Sources and documentation use the words of the papers, of Stable-Baselines3 and of PyTorch."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("rlgen", "agents", "envs") for path in (ROOT / folder).rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

BETTER = {
    "action numbers?": "action dimension",
    "afresh|anew": "again",
    "at hand": "available",
    "beginnings?": "start, initial state",
    "beside": "next to, with, in addition to",
    "came": "got",
    "films?|filmed|filming": "video; record a video",
    "hand(s|ed|ing)? over": "final model; pass",
    "judg(e|es|ed|ing)": "evaluate",
    "kin": "seed group",
    "kinds of action": "discrete or continuous actions",
    "knows? nothing": "does not depend on",
    "nobody|whoever": "no user, every caller",
    "observation numbers": "observation dimensions",
    "paid|pays?|payers?|paying": "gives or receives a reward; reward source",
    "sittings?": "session, resume",
    "spread": "standard deviation, unit variance, range",
    "strangers?": "other",
    "thinks?": "assumes, requires",
    "told|tells": "given, says, reports, determines, distinguishes",
    "worlds?": "environment",
}
"""Words to avoid, as regular expressions, each with better ones."""

ALLOWED = {
    "world size": "torch.distributed's name of the number of processes",
    "paid cosine": "keyword of an environment, in the config.json of runs",
    "paid distance": "keyword of an environment, in the config.json of runs",
    '"sittings"': "key of versions.json",
    "`sittings`": "key of versions.json",
}
"""Where one of them stays, with the reason."""

AVOIDED = re.compile("|".join(rf"\b({words})\b" for words in BETTER), re.IGNORECASE)
STAYS = re.compile("|".join(map(re.escape, ALLOWED)), re.IGNORECASE)


def separated(text: str) -> str:
    """`text` with spaces between the words of names in snake_case and CamelCase."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", text)


def found_in(lines: Iterable[tuple[int, str]], path: Path) -> list[str]:
    """Every avoided word of the numbered `lines` of a file, with its place and better words."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()!r}; better: {better}"
        for number, text in lines
        for match in AVOIDED.finditer(STAYS.sub("", separated(text)))
        for pattern, better in BETTER.items()
        if re.fullmatch(pattern, match.group(), re.IGNORECASE)
    ]


def texts_and_names(source: str) -> Iterator[tuple[int, str]]:
    """Strings (docstrings too), comments and names of a module, with their lines; each name once."""
    names = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or token.string not in names:
            names.add(token.string)
            yield token.start[0], token.string


@pytest.mark.parametrize("folder", ["rlgen", "agents", "envs"])
def test_sources_have_no_avoided_words(folder: str) -> None:
    paths = [path for path in SOURCES if path.is_relative_to(ROOT / folder)]
    found = [each for path in paths for each in found_in(texts_and_names(path.read_text()), path)]
    assert not found, "\n".join(found)


def test_pages_have_no_avoided_words() -> None:
    found = [each for path in PAGES for each in found_in(enumerate(path.read_text().splitlines(), 1), path)]
    assert not found, "\n".join(found)


def field_texts(source: str) -> Iterator[tuple[int, str]]:
    """The docstrings of fields: strings after annotated assignments in classes, with their lines."""
    for kind in ast.walk(ast.parse(source)):
        if isinstance(kind, ast.ClassDef):
            for field, text in pairwise(kind.body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    yield text.lineno, str(getattr(text.value, "value", ""))


def test_no_docstring_of_a_field_begins_with_of() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text[:80]!r}"
        for path in SOURCES
        for source in [path.read_text()]
        if '"""Of ' in source  # parsing all files takes seconds
        for line, text in field_texts(source)
        if text.startswith("Of ")
    ]
    assert not found, "\n".join(found)


def test_names_are_searched_word_by_word() -> None:
    lines = texts_and_names('n_worlds = world_size  # spread\nclass PaidSource:\n    "Told."\n')
    words = [each.split("'")[1] for each in found_in(lines, ROOT / "x.py")]
    assert words == ["worlds", "spread", "Paid", "Told"]
