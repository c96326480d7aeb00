"""Small demonstrations with every oddity: episodes of different lengths, a fall, a time limit."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode
from rlgen.data.demonstrations import BY_EPISODE, BY_ROW

LENGTHS = (5, 3, 7)
OBSERVATION, ACTION = 3, 2


@pytest.fixture
def episodes() -> list[Episode]:
    """The first and the last end at a time limit, the second falls. Observation k of episode e holds e and k."""
    rng = np.random.default_rng(0)
    return [
        Episode(
            observations=np.stack([np.full(steps + 1, e), np.arange(steps + 1), rng.normal(size=steps + 1)], axis=1),
            actions=rng.uniform(-1, 1, (steps, ACTION)),
            rewards=rng.normal(size=steps),
            terminated=e == 1,
        )
        for e, steps in enumerate(LENGTHS)
    ]


@pytest.fixture
def demonstrations(episodes: list[Episode]) -> Demonstrations:
    return Demonstrations.from_episodes(
        episodes, env_id="Toy-v0", metadata={"seed": 2**70, "nested": {"a": [None, 1.5]}}
    )


@pytest.fixture(scope="session")
def assert_equal() -> Callable[[Demonstrations, Demonstrations], None]:
    return _assert_equal


def _assert_equal(a: Demonstrations, b: Demonstrations) -> None:
    """Bit for bit, NaN payloads included."""
    for name in BY_ROW + BY_EPISODE:
        left, right = getattr(a, name), getattr(b, name)
        if left is None or right is None:
            assert left is right, name
        else:
            assert (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes()), name
    assert (a.env_id, a.stride, a.metadata) == (b.env_id, b.stride, b.metadata)


class Payload:
    """Unpickling this makes the file `mark`: proof that code ran."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that `Payload` makes, after making sure that it does."""
    mark = tmp_path / "code-ran"
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()
    mark.unlink()
    return mark


@pytest.fixture
def payload(mark: Path) -> Payload:
    return Payload(mark)
