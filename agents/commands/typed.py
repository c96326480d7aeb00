"""Options that are read from the command line before it is parsed."""

from collections.abc import Sequence


def taken(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """The last value of `option`, typed as `--option VALUE` or `--option=VALUE` (None without one), and the arguments
    without it."""
    value, rest, waiting = None, [], False
    for argument in arguments:
        name, equals, after = argument.partition("=")
        if waiting:
            value, waiting = argument, False
        elif name.replace("_", "-") != option:
            rest.append(argument)
        elif equals:
            value = after
        else:
            waiting = True
    return value, [*rest, option] if waiting else rest


def typed(arguments: Sequence[str], option: str) -> str | None:
    """The last typed value of `option`; None without one."""
    return taken(arguments, option)[0]
