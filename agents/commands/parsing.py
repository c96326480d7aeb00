"""Parsing of a command's options by tyro, with suggestions for mistyped ones and errors of rlgen's own form; `--help`
with the everyday options, and `--help-all` with all, including nested settings."""

import ast
import contextlib
import dataclasses
import difflib
import inspect
import io
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from rlgen.errors import InputError, problem

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
    hidden = hidden_options(kind)
    if hidden and not everything:
        text += f"\n\n`{prog} {ALL}` lists {', '.join(hidden)} as well."
    elif parts and not everything:
        text += f"\n\n`{prog} {ALL}` lists the settings of {' and '.join(f'--{name}' for name in parts)} as well."
    width = min(100, shutil.get_terminal_size().columns)
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        print(textwrap.fill(" ".join(paragraph.split()), width, break_long_words=False, break_on_hyphens=False) + "\n")


def hidden_options(kind: type[Any]) -> list[str]:
    """Options of a command that its short help leaves out, because the class does not name them in `everyday`."""
    shown = getattr(kind, "everyday", None)
    names = [each.name for each in dataclasses.fields(kind) if shown is not None and each.name not in shown]
    return [f"--{name.replace('_', '-')}" for name in names]


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


Settings = TypeVar("Settings")
GENERAL = ("--help", ALL, "--quiet", "--verbose")
"""Options of every command."""
SWITCHED = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""What people type behind a switch, and whether it turns it on."""


def parse(
    kind: type[Settings],
    arguments: Sequence[str],
    prog: str,
    description: str,
    plain: bool,
    default: Settings | None = None,
) -> Settings:
    """The settings of `arguments`, on top of `default`. `plain`: help without colors and bold.

    Raises `InputError` for options that do not exist and values that the settings refuse. Exits, as argparse does,
    after help and for options that tyro finds missing or malformed.
    """
    require_known(kind, arguments, prog)
    shown, said = list(arguments), io.StringIO()
    given: dict[str, Any] = {} if default is None else {"default": default}
    if any(argument in ASKED for argument in arguments):
        print_description(kind, description, prog, ALL in arguments)
        only = None if ALL in arguments else getattr(kind, "everyday", None)
        kind, given["default"] = for_help(kind, default, ALL in arguments, only)
        shown = ["--help"]
    with _colors(not plain):
        try:
            with contextlib.redirect_stderr(said):
                return tyro.cli(kind, args=shown, prog=prog, description="", **given)
        except SystemExit as stop:
            refused = _input_error(stop)
            if refused is None:
                sys.stderr.write(said.getvalue())
                raise
    raise refused


def require_known(kind: type[Any], arguments: Sequence[str], prog: str) -> None:
    """Raise `InputError` for the first unknown option, naming the one that was probably meant."""
    known = [*options_of(kind), *getattr(kind, "taken_first", ()), *GENERAL]
    elsewhere: dict[str, str] = getattr(kind, "elsewhere", dict)()
    _require_no_value(arguments, known)
    for argument in arguments:
        typed = argument.partition("=")[0].replace("_", "-")
        if not typed.startswith("--") or typed in known or typed.startswith("--tyro-"):
            continue
        reader = elsewhere.get(typed)
        if reader is not None:
            got = f"{argument.partition('=')[0]}, which needs {reader}"
            raise problem("options that the chosen settings read", got, f"leave it out, or choose {reader}")
        near = nearest_option(typed, known)
        raise problem(
            f"an option of `{prog}`",
            argument.partition("=")[0],
            f"did you mean {near}?" if near else f"`{prog} --help` lists them",
        )


def _require_no_value(arguments: Sequence[str], known: Sequence[str]) -> None:
    """Raise `InputError` for a switch with a value, `--gail.warm-start false` for example."""
    for argument, following in pairwise([*arguments, ""]):
        name, given, value = argument.partition("=")
        value = (value if given else following).lower()
        switch = name.replace("_", "-")
        off = opposite(switch)
        if switch in known and off in known and (given or value in SWITCHED):
            meant = switch if SWITCHED.get(value, True) else off
            raise problem(f"{switch} or {off}, without a value", f"{name} {value}", f"type {meant}")


def opposite(switch: str) -> str:
    """The option that turns off what `switch` turns on, and the other way round: --gail.no-warm-start."""
    before, dot, last = switch.removeprefix("--").rpartition(".")
    return f"--{before}{dot}{last.removeprefix('no-') if last.startswith('no-') else f'no-{last}'}"


def options_of(kind: type[Any], prefix: str = "") -> list[str]:
    """Every option that the dataclass `kind` has on the command line, nested settings included."""
    hints, found = get_type_hints(kind, include_extras=True), []
    for each in dataclasses.fields(kind):
        hint = hints[each.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        plain = get_args(hint)[0] if marks else hint
        renamed = next((mark.name for mark in marks if getattr(mark, "name", None)), each.name)
        name = f"{prefix}{renamed.replace('_', '-')}"
        if dataclasses.is_dataclass(plain):
            found += options_of(plain, f"{name}.")  # type: ignore[arg-type]
        else:
            found.append(f"--{name}")
            if plain is bool:
                found.append(opposite(f"--{name}"))
    return found


def nearest_option(typed: str, known: Sequence[str]) -> str | None:
    """The option that has the typed one's initials (lr) or its "no" in another place, else the most similar one, else
    the one that ends alike."""
    turned_off = opposite(f"--{typed.removeprefix('--no-')}")
    if typed.startswith("--no-") and turned_off in known:
        return turned_off
    group, _, last = typed.removeprefix("--").rpartition(".")
    ends = {option: option.removeprefix("--").rpartition(".") for option in known}
    same_group = [option for option in known if not group or ends[option][0] == group]
    for option in same_group:
        if last in ("".join(word[:1] for word in ends[option][2].split("-")), ends[option][2]):
            return option
    close = difflib.get_close_matches(typed, same_group or list(known), n=1, cutoff=0.7)
    if close:
        return close[0]
    alike = difflib.get_close_matches(last, [end[2] for end in ends.values()], n=1, cutoff=0.7)
    return next((option for option in known if alike and ends[option][2] == alike[0]), None)


def _input_error(stop: BaseException) -> InputError | None:
    """The `InputError` that made tyro exit; None if it was another error."""
    cause: BaseException | None = stop
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__ or cause.__context__
    return cause


@contextlib.contextmanager
def _colors(wanted: bool) -> Any:
    """A context in which tyro's help has colors if the terminal shows them, or none."""
    options: dict[str, Any] = getattr(tyro, "_experimental_options", {})  # absent before tyro 1.0
    before = options.get("ansi_codes", True)
    options["ansi_codes"] = before and wanted
    try:
        yield
    finally:
        options["ansi_codes"] = before
