"""Damage to a table of metrics: cells, columns, the header, and bytes that are no text."""

from numpy.random import Generator

from .byte_damage import damaged_bytes

CELLS = (
    "",
    "x",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1e-320",
    "-1",
    "0.5",
    '"',
    '"1',
    "1\n2",
    "\0",
    "é",
    "1" * 150_000,
    "1,2",
)


def damaged_csv(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of a CSV file with one damage, and what it is."""
    kind = rng.choice(["bytes", "not UTF-8", "cell", "cell", "cell", "column", "row", "twice", "empty", "header alone"])
    if kind == "bytes":
        return damaged_bytes(rng, data)
    rows = [line.split(",") for line in data.decode().splitlines()]
    row = int(rng.integers(len(rows)))
    column = int(rng.integers(len(rows[row])))
    if kind == "not UTF-8":
        place = int(rng.integers(len(data)))
        return data[:place] + b"\xff" + data[place + 1 :], f"0xff at {place}"
    if kind == "cell":
        cell = str(rng.choice(CELLS))
        rows[row][column] = cell
        how = f"row {row}, column {column}: {cell[:20]!r}"
    elif kind == "column":
        rows = [cells[:column] + cells[column + 1 :] for cells in rows]
        how = f"column {column} dropped"
    elif kind == "row":
        del rows[row]
        how = f"row {row} dropped"
    elif kind == "twice":
        rows = rows[: row + 1] + rows[row:]
        how = f"row {row} twice"
    else:
        rows = rows[:1] if kind == "header alone" else []
        how = str(kind)
    return "\n".join(",".join(cells) for cells in rows).encode() + b"\n", how
