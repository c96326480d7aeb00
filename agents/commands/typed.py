"""What the user typed, looked at before it is parsed."""

from collections.abc import Sequence


def taken(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """The value typed last after `option`, as `--option VALUE` or `--option=VALUE`, None where there is none; and the
    arguments without it."""
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
    """The value typed last after `option`; None where there is none."""
    return taken(arguments, option)[0]
