"""Parsing of a command's options by tyro, with suggestions for mistyped ones and errors of rlgen's own form."""

import contextlib
import dataclasses
import difflib
import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

from rlgen.errors import InputError, problem

from .option_help import ALL, ASKED, for_help, print_description

Settings = TypeVar("Settings")
GENERAL = ("--help", ALL, "--quiet", "--verbose")
"""Options of every command."""


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
        kind, given["default"] = for_help(kind, default, ALL in arguments)
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
                before, dot, last = name.rpartition(".")
                found.append(f"--{before}{dot}no-{last}")
    return found


def nearest_option(typed: str, known: Sequence[str]) -> str | None:
    """The option that has the typed one's initials (lr), else the most similar one, else the one that ends alike."""
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
