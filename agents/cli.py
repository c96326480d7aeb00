"""The command line `rlgen`: finds the typed command, imports it alone, and runs it."""

import difflib
import errno
import inspect
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

import rlgen
from rlgen.deprecation import present_options
from rlgen.errors import InputError, problem
from rlgen.system.interrupt import exit_code, signals_raise

from .commands.output import log_on_stderr, print_error
from .commands.settings_files import without_config
from .commands.table import COMMANDS, Command, find, load, settings_for

log = logging.getLogger("rlgen")
INPUT_ERROR = 2  # exit code
CLOSED_PIPE = 141  # the shell's 128 + SIGPIPE
GENERAL = "-q, --quiet: warnings and results only. -v, --verbose: reasons as well."
CONFIG = "--config FILE: settings from another run (its config.json or its folder); typed options override them."
LEAST_LIKENESS = 0.5  # below it a suggestion is a guess


def help_text(commands: Sequence[Command]) -> str:
    """The help page: every command with its summary and an example."""
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
    column = max((len(command.words) for command in commands), default=0) + 4
    for command in commands:
        lines.append(wrapped(command.summary, f"  {command.words}".ljust(column), " " * column))
        lines.append(wrapped(command.example, " " * (column + 2) + "$ ", " " * (column + 6)))
    return "\n".join(lines)


def help_or_refuse(arguments: Sequence[str]) -> int:
    """Print help if `arguments` ask for it, else an error that names the nearest command. Returns the exit code."""
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
    """The command most similar to the first typed words (as many as the command has); None if none is similar."""
    likeness = {
        command.words: difflib.SequenceMatcher(
            None, " ".join(arguments[: len(command.words.split())]), command.words
        ).ratio()
        for command in COMMANDS
    }
    best = max(likeness, key=lambda words: likeness[words])
    return best if likeness[best] >= LEAST_LIKENESS else None


def os_problem(error: OSError) -> InputError:
    """An error of the operating system as an `InputError` with a remedy."""
    remedies = {
        errno.ENOSPC: "make room on that disk, or write to another one",
        errno.EDQUOT: "make room in your quota, or write to another disk",
        errno.EACCES: "choose a place you may write to, or ask for the permission",
        errno.EPERM: "choose a place you may write to, or ask for the permission",
        errno.EROFS: "choose a place you may write to",
    }
    place = "" if error.filename is None else f" at {error.filename}"
    got = f"{error.strerror or error or type(error).__name__}{place}"
    remedy = remedies.get(error.errno or 0, "check the path and the disk")
    return problem("files and folders that can be read and written", got, remedy)


def volume_of(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The logging level that -q/--quiet and -v/--verbose choose, and the arguments without them."""
    levels = {"-q": logging.WARNING, "--quiet": logging.WARNING, "-v": logging.DEBUG, "--verbose": logging.DEBUG}
    asked = [levels[argument] for argument in arguments if argument in levels]
    return asked[-1] if asked else logging.INFO, [each for each in arguments if each not in levels]


def run(command: Command, arguments: Sequence[str]) -> int:
    """Parse the arguments of a command and run it. Returns its exit code."""
    # Torch reads it on import, in `load`: idle threads sleep instead of taking cores from busy ones.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from rlgen.system.allocation import keep_freed_memory
    from rlgen.system.console import is_plain

    from .commands.parsing import parse

    keep_freed_memory()

    level, rest = volume_of(arguments)
    words = command.present or command.words
    with log_on_stderr(level), signals_raise():
        if command.present:
            log.warning("`rlgen %s` is now `rlgen %s`; the next version removes the old name", command.words, words)
        chosen = load(command)
        rest = present_options(settings_for(chosen, rest), rest)
        default, rest = without_config(chosen, rest)
        chosen = settings_for(chosen, rest) if default is None else type(default)
        general = f"{GENERAL} {CONFIG}" if hasattr(chosen, "taken_first") else GENERAL
        described = f"{inspect.getdoc(chosen)}\n\n{general}\n\nExample: {command.example}"
        return parse(chosen, rest, f"rlgen {words}", described, is_plain(), default).run() or 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 2 for wrong arguments or files, 130 after Ctrl-C, 143
    after SIGTERM, 141 after a closed output pipe."""
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
        # Otherwise Python would flush the buffer when it ends, and fail again.
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
