"""Whatever the parser of a damaged file raises, as one error in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlgen.errors import InputError, problem


@contextmanager
def reading(
    what: str, path: Path, place: str = "", remedy: str = "copy, download or record it again"
) -> Iterator[None]:
    """Around the reading, and nothing else, of a file that may be damaged.

    Parsers raise anything there: KeyError and RuntimeError (HDF5), LZMAError and TokenError (NumPy's zip and headers),
    RecursionError and UnicodeDecodeError (JSON), MemoryError …

    Args:
        what: what the file should be, e.g. "HDF5 file".
        path: the file, for the message.
        place: where in it, e.g. "key 'actions'".

    Raises:
        InputError: in place of whatever was raised.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise problem(f"a complete {what}", f"no file {error.filename or path}", "check the path") from error
    except PermissionError as error:
        raise problem(f"a {what} that may be read", f"{path} ({error.strerror})", "change its permissions") from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        said = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
        raise problem(
            f"a complete {what}", f"{path}, cut or damaged{f' at {place}' if place else ''} ({said})", remedy
        ) from error
