"""Numbers over time: a CSV file that is valid at every moment, and TensorBoard's files.

The first column is `step` (environment steps), the others are named `group/name`, in the order in which they appeared.
Values are written so that reading them gives the same float64, so two runs can be compared bit for bit. Values that
depend on the clock are in the group `time/`, which such a comparison omits (`same_metrics`).

TensorBoard's values are written at once, without the thread of torch's SummaryWriter: an error of the disk is an
`OSError` of the call, and a kill loses nothing that was written before.
"""

import contextlib
import csv
import io
import itertools
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, SupportsFloat

import numpy as np

from rlgen.errors import problem
from rlgen.system.files import atomic_write

CLOCK = "time/"
EVALUATION = "evaluation/"


class Metrics:
    """Writes metrics.csv and tensorboard/ of a run folder; continues existing files.

    Agents call it as `metrics(step, {name: value})`.
    """

    def __init__(self, folder: str | os.PathLike[str], *, tensorboard: bool = True) -> None:
        self.path = Path(folder) / "metrics.csv"
        self._tensorboard = TensorBoard(Path(folder) / "tensorboard") if tensorboard else None
        self._columns, rows, whole = _read_rows(self.path)
        if not whole:  # a kill cut the last row
            self._rewrite(self._columns, rows)
        self._file = self._open()

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Add one row. Once this returns, other processes can read the row and it survives a kill; once `sync` returns,
        it survives a power cut. New names add columns, empty in earlier rows."""
        row = {name: float(value) for name, value in values.items()}
        new = [name for name in row if name not in self._columns]
        if "step" in new or not all(new):
            raise problem("metric names such as 'eval/return'", "'step' or an empty name", "choose another name")
        if new or not self._columns:
            self._widen(new)
        cells = [str(step), *(repr(row[name]) if name in row else "" for name in self._columns[1:])]
        with self._named():
            self._file.write(_csv_line(cells))
            self._file.flush()
            if self._tensorboard is not None:
                self._tensorboard.write(step, row)

    __call__ = write

    def sync(self) -> None:
        """Sync every row to the disk, before a checkpoint that a resumed run continues with these rows."""
        with self._named():
            os.fsync(self._file.fileno())

    def truncate(self, step: int, *, evaluated: bool = True) -> None:
        """Delete the rows after `step`, where a checkpoint continues, and those of an evaluation at it unless it was
        `evaluated`. TensorBoard hides rows after `step`, too."""
        self._file.close()
        columns, rows, _ = _read_rows(self.path)
        points = [] if evaluated else [i for i, name in enumerate(columns) if name.startswith(EVALUATION)]
        kept = [row for row in rows if int(row[0]) < step or (int(row[0]) == step and not any(row[i] for i in points))]
        # Delete columns that only later rows filled as well, so that the file equals that of an uninterrupted run.
        used = [i for i in range(len(columns)) if i == 0 or any(row[i] for row in kept)]
        self._columns = [columns[i] for i in used] if kept else []
        self._rewrite(self._columns, [[row[i] for i in used] for row in kept])
        self._file = self._open()
        if self._tensorboard is not None:
            self._tensorboard.purge_after(step)

    def write_image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Show a picture uint8 [height, width, 3] in TensorBoard."""
        if self._tensorboard is not None:
            with self._named():
                self._tensorboard.write_image(step, name, picture)

    def write_hparams(self, step: int, config: Mapping[str, Any], values: Mapping[str, float]) -> None:
        """Show a run's flat configuration and its final numbers in TensorBoard, not in metrics.csv."""
        if self._tensorboard is not None:
            with self._named():
                self._tensorboard.write_hparams(step, config, values)

    def close(self) -> None:
        """Close both files; writing afterwards is an error."""
        self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _widen(self, new: list[str]) -> None:
        self._file.close()
        _, rows, _ = _read_rows(self.path)
        self._columns = [*(self._columns or ["step"]), *new]
        self._rewrite(self._columns, [row + [""] * len(new) for row in rows])
        self._file = self._open()

    def _rewrite(self, columns: list[str], rows: list[list[str]]) -> None:
        lines = [columns, *rows] if columns else []
        atomic_write(self.path, "".join(_csv_line(line) for line in lines))

    def _open(self) -> io.TextIOWrapper:
        return self.path.open("a", encoding="utf-8", newline="")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """A context in which errors of the disk name the file."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), error.filename or str(self.path)) from error


def read_metrics(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Columns of a metrics.csv, or of the run folder holding one, as float64 arrays [rows].

    NaN for missing values. An absent or empty file gives no columns. A row cut by a kill is omitted.
    """
    file = Path(path)
    columns, rows, _ = _read_rows(file / "metrics.csv" if file.is_dir() else file)
    table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype=np.float64)
    table = table.reshape(len(rows), len(columns))
    return {name: table[:, i] for i, name in enumerate(columns)}


def same_metrics(left: str | os.PathLike[str], right: str | os.PathLike[str]) -> bool:
    """Whether two runs wrote the same numbers, bit for bit, except for the group `time/`."""
    tables = []
    for path in (left, right):
        tables.append({name: values for name, values in read_metrics(path).items() if not name.startswith(CLOCK)})
    return set(tables[0]) == set(tables[1]) and all(
        np.array_equal(tables[0][name], tables[1][name], equal_nan=True) for name in tables[0]
    )


def _read_rows(path: Path) -> tuple[list[str], list[list[str]], bool]:
    """Header, complete rows, and whether the file holds nothing else."""
    if not path.is_file():
        return [], [], True
    try:
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        lines = list(csv.reader(io.StringIO(whole, newline="")))
        if not lines:
            return [], [], not text
        header, *rows = lines
        if header[0] != "step" or any(len(row) != len(header) for row in rows):
            raise ValueError("another table")
        for row in rows:
            int(row[0])
            for cell in row[1:]:
                float(cell or "nan")
    except (ValueError, IndexError, csv.Error) as error:
        expected = f"rows of numbers, all of one width, under a header with 'step' in {path}"
        raise problem(expected, str(error), "move that file away") from error
    return header, rows, len(whole) == len(text)


def _csv_line(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


_NUMBERS = itertools.count()
SB3_NAMES = {"evaluation/return_mean": "eval/mean_reward", "evaluation/episode_length_mean": "eval/mean_ep_length"}
"""Stable-Baselines3's names of the same numbers, written too, so that curves of SB3's own runs share a diagram."""


class TensorBoard:
    """Writes FOLDER/events.out.tfevents.… from the first value on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None
        self._purge_step: int | None = None

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Write values by name."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        named = {**row, **{also: row[name] for name, also in SB3_NAMES.items() if name in row}}
        self._add(step, Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in named.items()]))

    def write_hparams(self, step: int, config: Mapping[str, Any], row: Mapping[str, float]) -> None:
        """Write a run's flat configuration as text and as hyperparameters, with the run's final metrics."""
        from torch.utils.tensorboard.summary import hparams, text

        plain = {name: v if isinstance(v, bool | int | float) else str(v) for name, v in config.items()}
        lines = "\n".join(f"| {name} | {value} |" for name, value in plain.items())
        self._add(step, text("config", f"| setting | value |\n|---|---|\n{lines}"))
        for part in hparams(plain, dict(row)):
            self._add(step, part)
        self.write(step, row)

    def write_image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Write a picture, uint8 [height, width, 3]."""
        from torch.utils.tensorboard.summary import image  # takes a second, so not at import

        self._add(step, image(name, picture, dataformats="HWC"))

    def purge_after(self, step: int) -> None:
        """Have TensorBoard hide the values after `step`."""
        self.close()
        self._purge_step = step + 1

    def close(self) -> None:
        """Close the file; the next value opens another one."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _add(self, step: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        events = [Event(step=step, wall_time=time.time(), summary=summary)]
        if self._file is None:
            first, self._purge_step = self._purge_step, None
            begin = [Event(wall_time=time.time(), file_version="brain.Event:2")]
            if first is not None:
                log = SessionLog(status=SessionLog.START)
                begin = [Event(step=first, wall_time=time.time(), file_version="brain.Event:2"),
                         Event(step=first, wall_time=time.time(), session_log=log)]  # fmt: skip
            events = begin + events
            self._file = self._open()
        self._file.write(_records(events))

    def _open(self) -> BinaryIO:
        self.folder.mkdir(exist_ok=True)  # without its parents: a deleted run folder is not made again
        name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS):06d}"
        return (self.folder / name).open("xb", buffering=0)


def _records(events: list[Any]) -> bytes:
    """Write an event in TensorBoard's record format, with length and checksums."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    data = io.BytesIO()
    writer = RecordWriter(data)
    for event in events:
        writer.write(event.SerializeToString())
    return data.getvalue()
