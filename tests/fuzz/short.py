"""What is left out of a command's work, because nothing that is read decides it: long trainings, pictures, git."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from rlgen.agents import session
from rlgen.agents.commands import finish
from rlgen.system import versions
from rlgen.system.interrupt import Interrupt

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")


class StopsSoon(Interrupt):
    """An interrupt that someone asks for after the first look: a resumed training does a round or two."""

    looks = 0

    @property
    def requested(self) -> bool:
        self.looks += 1
        return self.looks > 1

    @requested.setter
    def requested(self, value: bool) -> None:
        pass


@contextmanager
def stopped_soon() -> Iterator[None]:
    """Trainings within the block stop after a round or two."""
    with mock.patch.object(session, "Interrupt", StopsSoon):
        yield


@contextmanager
def short() -> Iterator[None]:
    """A context in which commands record no video and look up no versions."""
    described = versions.describe()
    with (
        mock.patch.object(finish, "record_videos", return_value=None),
        mock.patch.object(versions, "checkout_commit", return_value=described["git_commit"]),
        mock.patch.object(versions, "package_versions", return_value=described["packages"]),
    ):
        yield


@contextmanager
def undrawn() -> Iterator[None]:
    """Figures within the block become one pixel."""
    with mock.patch("matplotlib.figure.Figure.savefig", _one_pixel):
        yield


def _one_pixel(figure: Any, target: Any, **_: Any) -> None:
    if hasattr(target, "write"):
        target.write(PIXEL)
    else:
        Path(target).write_bytes(PIXEL)
