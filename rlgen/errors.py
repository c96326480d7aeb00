"""The three-part error: what was expected, what was got, what to do."""


class InputError(ValueError):
    """Something the user gave cannot be used. The message says what was expected, what was got and what to do."""


class NotFinite(InputError):
    """NaN or an infinity ended a training. The way back is the last checkpoint, which is from before that."""


def problem(expected: str, got: str, remedy: str) -> InputError:
    """An `InputError` of three parts, for `raise problem(...)`.

    Each part is a clause without a final full stop, e.g.
    `problem("105 observation dimensions (Ant-v5)", "27 in ant.npz, key 'observations'", "record the file on Ant-v5")`.
    What a terminal would obey or could not show, such as an escape sequence in a file's key, is spelled out.
    """
    return InputError(f"expected {_shown(expected)}; got {_shown(got)}; {_shown(remedy)}")


def reason(error: Exception) -> str:
    """What an exception says, in one line; of an error of the operating system only the words, because its number says
    nothing to a reader and the message names the path anyway."""
    words = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split()) or type(error).__name__


def _shown(part: str) -> str:
    return "".join(
        sign if sign.isprintable() or sign == "\n" else sign.encode("unicode_escape").decode() for sign in part.strip()
    )
