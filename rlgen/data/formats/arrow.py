"""Reads untrusted Arrow files: into memory, and verified before any value is used.

In a mapped, unverified file one wrong byte of an offset ends the process by a signal.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import reading
from rlgen.errors import problem
from rlgen.system.memory import require_room

FILE = b"ARROW1\0\0"
"""First bytes of the file format; a stream follows, and only a footer comes after it."""


def read_arrow(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Verified columns of an Arrow file or stream as pyarrow.ChunkedArray, by name.

    Raises:
        InputError: pyarrow is missing, a cut or damaged file, a missing column, compressed or dictionary-encoded
            content, more data than fits in memory.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise problem("the package pyarrow, which reads Arrow", "a Python without it", "pip install pyarrow") from error
    with reading("Arrow file", path):
        require_room(path.stat().st_size, f"the content of {path}")
        content = path.read_bytes()
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(content[8:] if content.startswith(FILE) else content))
        schema = pa.ipc.read_schema(messages.read_next_message())
        missing = [name for name in required if name not in schema.names]
        if missing:
            raise problem(
                f"the columns {', '.join(required)}", f"{path} without {', '.join(missing)}", "write the file again"
            )
        wanted = [*required, *(name for name in optional if name in schema.names)]
        batches: list[Any] = []
        while (message := _next(messages)) is not None:
            _require_plain(message, path)
            batch = pa.ipc.read_record_batch(message, schema).select(wanted)
            batch.validate(full=True)
            batches.append(batch)
        return {name: pa.chunked_array([batch[name] for batch in batches], schema.field(name).type) for name in wanted}


def arrays_of(column: Any, name: str, path: Path) -> list[np.ndarray]:
    """The entries of a column of lists, each as a numeric array; nested lists become dimensions."""
    with reading("Arrow file", path):
        found = [_array(chunk.slice(row, 1), name, path) for chunk in column.chunks for row in range(len(chunk))]
    if any(array.ndim < 2 for array in found):
        raise problem(f"a list in every row under {name!r}", f"single values in {path}", "write the file again")
    return [array[0] for array in found]


def tree_of(column: Any, name: str, path: Path) -> Any:
    """A column of numbers as `values_of`, or one of records as a dictionary of such arrays, without `texts_of`."""
    import pyarrow as pa

    if not pa.types.is_struct(column.type):
        return values_of(column, name, path)
    with reading("Arrow file", path):
        columns = column.flatten()
        names = [column.type.field(i).name for i in range(column.type.num_fields)]
    parts = dict(zip(names, columns, strict=True))
    return {field: values_of(parts[field], f"{name}/{field}", path) for field in parts.keys() - texts_of(column)}


def texts_of(column: Any) -> set[str]:
    """Names of the texts in a column of records."""
    import pyarrow.types as types

    kind = column.type
    fields = [kind.field(i) for i in range(kind.num_fields)] if types.is_struct(kind) else []
    return {field.name for field in fields if types.is_string(field.type) or types.is_large_string(field.type)}


def values_of(column: Any, name: str, path: Path) -> np.ndarray:
    """A column of numbers, or of lists of one length, as one array."""
    with reading("Arrow file", path):
        parts = [_array(chunk, name, path) for chunk in column.chunks]
        return np.concatenate(parts) if parts else np.zeros(0)


def _array(values: Any, name: str, path: Path) -> np.ndarray:
    import pyarrow.types as types

    values = getattr(values, "storage", values)  # the values of an extension type
    if values.null_count:
        raise problem(f"a value everywhere under {name!r}", f"missing ones in {path}", "write the file again")
    kind = values.type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        lengths = np.asarray(values.value_lengths()) if len(values) else np.zeros(0, int)
        if (lengths != lengths[:1]).any():
            raise problem(f"vectors of one size under {name!r}", f"several in {path}", "write the file again")
        inner = _array(values.flatten(), name, path)
        return inner.reshape(len(values), int(lengths[0]) if len(lengths) else 0, *inner.shape[1:])
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        raise problem(f"numbers under {name!r}", f"values of type {kind} in {path}", "write the file again")
    return values.to_numpy(zero_copy_only=False)


def _next(messages: Any) -> Any:
    try:
        return messages.read_next_message()
    except StopIteration:
        return None


def _require_plain(message: Any, path: Path) -> None:
    """Requires record batches without compression: a few compressed megabytes can unpack to terabytes."""
    if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
        got = "a compressed one" if message.type == "record batch" else f"a {message.type}"
        raise problem("plain record batches", f"{got} in {path}", "write the file without compression or dictionaries")


def _is_compressed(metadata: bytes) -> bool:
    """Whether the header of a record batch names a compression: field 3 of the table `RecordBatch`, field 2 of
    `Message` (Arrow's format/Message.fbs, in FlatBuffers)."""
    message = struct.unpack_from("<I", metadata, 0)[0]
    header = message + _field(metadata, message, 2)
    batch = header + struct.unpack_from("<I", metadata, header)[0]
    return _field(metadata, batch, 3) != 0


def _field(metadata: bytes, table: int, number: int) -> int:
    """Position of a field in a FlatBuffers table, 0 if the field is absent."""
    entries = table - struct.unpack_from("<i", metadata, table)[0]
    size = struct.unpack_from("<H", metadata, entries)[0]
    place = 4 + 2 * number
    return struct.unpack_from("<H", metadata, entries + place)[0] if place < size else 0
