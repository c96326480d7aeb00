"""The settings that a saved state depends on, as a text in it: `8 × Ant(frame_skip=5, …), time limit 1000`."""

import ast
from dataclasses import MISSING, fields

from rlgen.errors import problem
from rlgen.sim.task import Task


def require_same_settings(task: Task, own: str, saved: str) -> None:
    """Raises `InputError` unless both texts have the same settings; one from before `task` had a setting has its
    default."""
    if without_defaults(task, own) != without_defaults(task, saved):
        remedy = "make the environment with the same arguments"
        raise problem(f"a state of {own}", f"one of {saved}", remedy)


def without_defaults(task: Task, text: str) -> str:
    """`text` without those settings of `task` in it that have their default; one without settings that Python reads, as
    it is."""
    before, name, after = text.partition(f"{type(task).__qualname__}(")
    own = ", ".join(f"{each.name}={each.default!r}" for each in fields(task) if each.default is not MISSING)
    try:
        written = _up_to_parenthesis(after)
        kept = [each for each in _arguments(written) if each not in _arguments(own)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    return f"{before}{name}{', '.join(kept)}{after.removeprefix(written)}"


def _up_to_parenthesis(text: str) -> str:
    """The part of `text` before the parenthesis that ends a call. Raises `SyntaxError` without one."""
    for end, letter in enumerate(text):
        if letter == ")":
            try:
                _arguments(text[:end])
            except SyntaxError:  # this one ends a tuple, or is in a text
                continue
            return text[:end]
    raise SyntaxError("a call without its end")


def _arguments(written: str) -> list[str]:
    """The arguments of a call, each by itself and written in one way."""
    call = ast.parse(f"f({written})", mode="eval").body
    assert isinstance(call, ast.Call)
    return [ast.unparse(each) for each in (*call.args, *call.keywords)]
