"""The command line `rlgen`: a table of commands, of which only the chosen one is imported."""

import difflib
import errno
import inspect
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rlgen
from rlgen.deprecation import present_options
from rlgen.errors import InputError, problem
from rlgen.system.interrupt import exit_code, signals_raise

from .commands.reporting import log_on_stderr, print_error
from .commands.table import COMMANDS, EARLIER, Command, Runnable, load
from .commands.typed import taken

log = logging.getLogger("rlgen")
INPUT_ERROR = 2  # exit code
CLOSED_PIPE = 141  # the shell's 128 + SIGPIPE
GENERAL = "-q, --quiet: warnings and results alone. -v, --verbose: reasons as well."
CONFIG = "--config FILE: settings from the config.json of another run, or its folder, which typed options override."
LEAST_LIKENESS = 0.5  # below it a suggestion is a guess


def help_text(commands: Sequence[Command]) -> str:
    """The table as a page of help, each command with an example."""
    width = min(100, shutil.get_terminal_size().columns)

    def wrapped(text: str, first: str, later: str) -> str:
        return textwrap.fill(
            text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
        )

    lines = [
        wrapped(f"rlgen {rlgen.__version__}: generative models for control, pluggable into Stable-Baselines3", "", ""),
        "",
        "usage: rlgen COMMAND [OPTIONS]",
        "       rlgen COMMAND --help      everyday options of one command",
        "       rlgen COMMAND --help-all  all of them",
        "       rlgen version",
        "",
    ]
    for command in commands:
        lines.append(wrapped(command.summary, f"  {command.words:<15}", " " * 17))
        lines.append(wrapped(command.example, " " * 19 + "$ ", " " * 23))
    return "\n".join(lines)


def find(arguments: Sequence[str]) -> tuple[Command, list[str]] | None:
    """The command whose words begin `arguments`, and the arguments after them."""
    for command in (*COMMANDS, *EARLIER):
        words = command.words.split()
        if list(arguments[: len(words)]) == words:
            return command, list(arguments[len(words) :])
    return None


def help_or_refuse(arguments: Sequence[str]) -> int:
    """Answer arguments that name no command: with help where it is asked for, else with the nearest command."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text(COMMANDS))
        return 0
    if arguments[0] in ("-V", "--version", "version"):
        print(f"rlgen {rlgen.__version__}")
        return 0
    group = [command for command in COMMANDS if command.words.split()[0] == arguments[0]]
    if group and (not arguments[1:] or arguments[1].startswith("-")):
        print(help_text(group))
        return 0 if list(arguments[1:]) in (["-h"], ["--help"]) else INPUT_ERROR
    near = nearest(arguments)
    length = len(near.split()) if near else 1
    remedy = f"did you mean `rlgen {near}`?" if near else "`rlgen --help` lists them"
    print_error(f"there is no command `rlgen {' '.join(arguments[:length])}`; {remedy}")
    return INPUT_ERROR


def nearest(arguments: Sequence[str]) -> str | None:
    """The command that looks most like as many of the words typed as it has itself; None where none does."""
    likeness = {
        command.words: difflib.SequenceMatcher(
            None, " ".join(arguments[: len(command.words.split())]), command.words
        ).ratio()
        for command in COMMANDS
    }
    best = max(likeness, key=lambda words: likeness[words])
    return best if likeness[best] >= LEAST_LIKENESS else None


def os_problem(error: OSError) -> InputError:
    """What the system refused, in the words of our own errors."""
    remedies = {
        errno.ENOSPC: "make room on that disk, or write to another one",
        errno.EDQUOT: "make room in your quota, or write to another disk",
        errno.EACCES: "choose a place you may write to, or ask for the permission",
        errno.EPERM: "choose a place you may write to, or ask for the permission",
        errno.EROFS: "choose a place you may write to",
    }
    place = "" if error.filename is None else f" at {error.filename}"
    came = f"{error.strerror or error or type(error).__name__}{place}"
    remedy = remedies.get(error.errno or 0, "check the path and the disk")
    return problem("files and folders that can be read and written", came, remedy)


def settings_for(chosen: type[Runnable], arguments: Sequence[str]) -> type[Runnable]:
    """The class whose options are offered: a command with many kinds of settings narrows them by what it is given."""
    narrow = getattr(chosen, "for_arguments", None)
    return chosen if narrow is None else narrow(arguments, {})


def without_config(chosen: type[Any], arguments: Sequence[str]) -> tuple[Any, list[str]]:
    """The settings that the file of --config gives, of a command that takes one, and the arguments without it."""
    if "--config" not in getattr(chosen, "taken_first", ()):
        return None, list(arguments)
    path, rest = taken(arguments, "--config")
    if path is None:
        return None, rest
    from .commands.config_file import defaults

    return defaults(chosen, Path(path), rest), rest


def volume_of(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The level of what is reported, by -q/--quiet and -v/--verbose, and the arguments without them."""
    levels = {"-q": logging.WARNING, "--quiet": logging.WARNING, "-v": logging.DEBUG, "--verbose": logging.DEBUG}
    asked = [levels[argument] for argument in arguments if argument in levels]
    return asked[-1] if asked else logging.INFO, [each for each in arguments if each not in levels]


def run(command: Command, arguments: Sequence[str]) -> int:
    """Parse the arguments of a command and run it. Returns its exit code."""
    # Read where torch is imported, that is, in `load`: waiting threads sleep instead of taking cores from who works.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from rlgen.system.console import is_plain

    from .commands.parsing import parse

    level, rest = volume_of(arguments)
    words = command.present or command.words
    with log_on_stderr(level), signals_raise():
        if command.present:
            log.warning(
                "`rlgen %s` is now `rlgen %s`; the next version does not know the old name", command.words, words
            )
        chosen = load(command)
        rest = present_options(settings_for(chosen, rest), rest)
        default, rest = without_config(chosen, rest)
        chosen = settings_for(chosen, rest) if default is None else type(default)
        general = f"{GENERAL} {CONFIG}" if hasattr(chosen, "taken_first") else GENERAL
        described = f"{inspect.getdoc(chosen)}\n\n{general}\n\nExample: {command.example}"
        return parse(chosen, rest, f"rlgen {words}", described, is_plain(), default).run() or 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for what the user can mend (arguments, files), 130 interrupted by
    Ctrl-C, 143 by SIGTERM, 141 where nobody reads what it prints any more."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        found = find(arguments)
        code = help_or_refuse(arguments) if found is None else run(*found)
        sys.stdout.flush()
        return code
    except InputError as error:
        print_error(str(error))
        return INPUT_ERROR
    except BrokenPipeError:
        # What is left in the buffer would be an error again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:
        print_error(str(os_problem(error)))
        return INPUT_ERROR
    except KeyboardInterrupt as stop:
        print_error("interrupted")
        return exit_code(stop)


if __name__ == "__main__":
    sys.exit(main())
