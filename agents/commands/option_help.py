"""`--help`, a command's everyday options, and `--help-all`, all options including nested settings."""

import ast
import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

ALL = "--help-all"
ASKED = ("-h", "--help", ALL)
METAVARS = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}


def parts_of(kind: type[Any]) -> list[str]:
    """Names of the fields that are nested dataclasses of settings."""
    hints = get_type_hints(kind)
    return [each.name for each in dataclasses.fields(kind) if dataclasses.is_dataclass(hints[each.name])]


def print_description(kind: type[Any], text: str, prog: str, everything: bool) -> None:
    """Print the paragraphs of `text` at the width of the terminal, and how to list the other options."""
    parts = parts_of(kind)
    if parts and not everything:
        text += f"\n\n`{prog} {ALL}` lists the settings of {' and '.join(f'--{name}' for name in parts)} as well."
    width = min(100, shutil.get_terminal_size().columns)
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        print(textwrap.fill(" ".join(paragraph.split()), width, break_long_words=False, break_on_hyphens=False) + "\n")


def for_help(
    kind: type[Any], default: Any, everything: bool, only: Sequence[str] | None = None
) -> tuple[type[Any], Any]:
    """A dataclass that tyro shows instead of `kind`, each option with its complete docstring; and an instance of it
    with the values of `default`, an instance of `kind` or None. With `everything` it has all nested settings, otherwise
    those that a nested class names in `everyday`. `only`: the fields that it has; None for all."""
    hints, texts, parts = get_type_hints(kind, include_extras=True), field_texts(kind), parts_of(kind)
    shown, given = [], {}
    for each in dataclasses.fields(kind):
        hint, value = hints[each.name], _value(each, default)
        if only is not None and each.name not in only:
            continue
        if each.name in parts:
            everyday = None if everything else getattr(hint, "everyday", ())
            if everyday == ():
                continue
            hint, value = for_help(hint, value, everything, everyday)
        mark = tyro.conf.arg(help=texts.get(each.name), metavar=metavar_of(hint))
        shown.append((each.name, Annotated[hint, mark], dataclasses.field(kw_only=True)))
        given[each.name] = value
    made = dataclasses.make_dataclass(kind.__name__, shown)
    return made, made(**given)


def _value(each: dataclasses.Field[Any], config: Any) -> Any:
    """The value of a field in `config`, or its default if `config` is None."""
    if config is not None:
        return getattr(config, each.name)
    if each.default_factory is not dataclasses.MISSING:
        return each.default_factory()
    return tyro.MISSING if each.default is dataclasses.MISSING else each.default


def metavar_of(hint: Any) -> str | None:
    """The placeholder for the value of an option that may be None; None to leave it to tyro."""
    choices = get_args(hint)
    if NoneType not in choices or len(choices) != 2:
        return None
    (kind,) = (choice for choice in choices if choice is not NoneType)
    return "{" + ",".join(get_args(kind)) + "}" if get_origin(kind) is Literal else METAVARS.get(kind)


def field_texts(kind: type[Any]) -> dict[str, str]:
    """The docstring under each field of a dataclass and its bases, as one line."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, TypeError):  # a class without source of its own
            continue
        found |= _texts_in(tree.body if isinstance(tree, ast.ClassDef) else ())
    return found


def _texts_in(body: Sequence[ast.stmt]) -> dict[str, str]:
    texts = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            words = text.value.value if isinstance(text.value, ast.Constant) else None
            if isinstance(words, str):
                texts[field.target.id] = " ".join(words.split())
    return texts
