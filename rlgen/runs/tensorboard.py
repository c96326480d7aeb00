"""TensorBoard's files of a run's metrics.

Values are written at once, without the thread of torch's SummaryWriter: an error of the disk is an `OSError` of the
call, and a kill loses nothing that was written before.
"""

import io
import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

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
        name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}"
        return (self.folder / name).open("xb", buffering=0)


def _records(events: list[Any]) -> bytes:
    """Write an event in TensorBoard's record format, with length and checksums."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    data = io.BytesIO()
    writer = RecordWriter(data)
    for event in events:
        writer.write(event.SerializeToString())
    return data.getvalue()
