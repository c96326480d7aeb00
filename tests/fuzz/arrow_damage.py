"""Damage to a data set of the package `datasets`: its Arrow file, and the JSON that describes it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from .byte_damage import damaged_bytes, damaged_file
from .json_damage import damaged_json


def damage_arrow(rng: Generator, folder: Path) -> str:
    """Damages the folder that `save_to_disk` wrote, in place."""
    arrow = next(folder.glob("*.arrow"))
    kind = rng.choice(["bytes", "bytes", "column", "column", "json", "json", "files"])
    if kind == "bytes":
        return damaged_file(rng, arrow, damaged_bytes)
    if kind == "column":
        return _damage_column(rng, arrow)
    if kind == "json":
        return damaged_file(rng, folder / str(rng.choice(["state.json", "dataset_info.json"])), damaged_json)
    path = sorted(folder.iterdir())[int(rng.integers(3))]
    path.unlink()
    if rng.random() < 0.3:
        path.mkdir()
    (folder / "data.py").write_text("import fuzz_canary\n")
    return f"{path.name} gone, or a folder"


def _damage_column(rng: Generator, arrow: Path) -> str:
    """Another column under a name, written as the library writes them."""
    with pa.memory_map(str(arrow)) as file:
        table = pa.ipc.open_stream(file).read_all()
        table = pa.Table.from_pydict(table.to_pydict(), schema=table.schema)  # nothing of it in the file any more
    place = int(rng.integers(table.num_columns))
    name, rows = table.column_names[place], table.num_rows
    columns = {
        "none": pa.nulls(rows),
        "texts": pa.array(["False"] * rows),
        "times": pa.array([0] * rows, pa.timestamp("s")),
        "durations": pa.array([1] * rows, pa.duration("s")),
        "decimals": pa.array([1] * rows, pa.decimal128(5)),
        "bytes": pa.array([b"x"] * rows),
        "structs": pa.array([{"a": 1}] * rows),
        "maps": pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int32())),
        "some none": pa.array([None, *[[[1.0, 2.0, 3.0]] * 2] * (rows - 1)]),
        "ragged": pa.array([[[1.0], [1.0, 2.0]]] * rows),
        "empty lists": pa.array([[]] * rows, pa.list_(pa.float32())),
        "flat": pa.array([0.5] * rows),
        "nan": pa.array([[float("nan")] * 4] * rows),
        "dictionary": pa.array(["a"] * rows).dictionary_encode(),
        "views": pa.array(["a"] * rows, pa.string_view()),
        "run ends": pa.RunEndEncodedArray.from_arrays([rows], pa.array([1.0])),
        "union": pa.UnionArray.from_sparse(pa.array([0] * rows, pa.int8()), [pa.array([1] * rows)]),
        "fixed": pa.array([[1.0, 2.0]] * rows, pa.list_(pa.float64(), 2)),
        "halves": pa.array(np.ones(rows, np.float16)),
    }
    kind = str(rng.choice([*columns, "dropped", "twice", "renamed"]))
    if kind == "dropped":
        table = table.remove_column(place)
    elif kind == "twice":
        table = table.append_column(name, table.column(place))
    elif kind == "renamed":
        table = table.rename_columns([name if old != name else "x" for old in table.column_names])
    else:
        table = table.set_column(place, name, columns[kind])
    options = pa.ipc.IpcWriteOptions(compression="zstd" if rng.random() < 0.1 else None)
    bare = table.replace_schema_metadata(None if rng.random() < 0.7 else {b"huggingface": b"[]"})
    with pa.OSFile(str(arrow), "wb") as sink, pa.ipc.new_stream(sink, bare.schema, options=options) as writer:
        writer.write_table(bare)
    return f"{arrow.name}: column {name} -> {kind}"
