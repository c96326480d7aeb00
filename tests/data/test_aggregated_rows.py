"""Aggregated rows keep their order and their episodes, and beyond their memory a uniform sample of all."""

from typing import Any

import numpy as np
import pytest

from rlgen.data import observations as tree
from rlgen.data.aggregated_rows import BOOKKEEPING, AggregatedRows
from rlgen.errors import InputError

VECTORS = {"": ("float32", (2,))}
ROW_BYTES = 2 * 4 + 4 + BOOKKEEPING


def rollout(first: int, steps: int = 3, envs: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations whose first number counts all rows, actions with the same number, and no start of an episode."""
    number = first + np.arange(steps * envs, dtype=np.float32).reshape(steps, envs)
    starts = np.zeros((steps, envs), bool)
    return np.stack([number, 0 * number], -1), number[..., None], starts


def test_rows_are_in_order_of_environment_and_time_and_starts_divide_episodes() -> None:
    rows = AggregatedRows(VECTORS, 1, 1.0)
    observations, actions, starts = rollout(0)
    starts[2, 1] = True
    rows.add_rollout(observations, actions, starts)
    rows.add_rollout(*rollout(6))
    found = rows.demonstrations()
    assert found.observations[:, 0].tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    assert found.actions[:, 0].tolist() == found.observations[:, 0].tolist()
    assert found.episode.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 4, 4]
    assert found.step.tolist() == [0, 1, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2]
    assert found.episode_lengths.tolist() == [3, 2, 1, 3, 3]


def test_beyond_the_capacity_the_rows_with_the_smallest_keys_of_all_remain() -> None:
    capacity, all_keys = 8, []
    rows = AggregatedRows(VECTORS, 1, capacity * ROW_BYTES / 1e6)
    assert rows.capacity == capacity
    for number in range(6):
        state = np.random.get_state()  # noqa: NPY002, the generator that it draws from
        all_keys.extend(np.random.random_sample(6))  # noqa: NPY002
        np.random.set_state(state)  # noqa: NPY002
        rows.add_rollout(*rollout(6 * number))
    by_env = np.concatenate([6 * number + np.array([0, 2, 4, 1, 3, 5]) for number in range(6)])
    kept = by_env[np.sort(np.argsort(all_keys)[:capacity])]
    assert rows.demonstrations().observations[:, 0].tolist() == kept.tolist()
    assert rows.seen == 36


def test_images_and_dictionaries_are_stored_once_and_the_state_is_all() -> None:
    kinds: dict[str, Any] = {"image": ("uint8", (2, 2, 3)), "where": ("int64", (1,))}
    seen = {"image": np.arange(72).reshape(3, 2, 2, 2, 3).astype(np.uint8), "where": np.arange(6).reshape(3, 2, 1)}
    rows, again = (AggregatedRows(kinds, 1, 1.0) for _ in range(2))
    rows.add_rollout(seen, np.zeros((3, 2, 1)), np.zeros((3, 2), bool))
    found = rows.demonstrations()
    assert np.shares_memory(found.observations["image"], rows.observations["image"])
    assert np.shares_memory(found.next_observations["image"].store, rows.observations["image"])
    again.load_state_dict(rows.state_dict())
    assert again.demonstrations().fingerprint == found.fingerprint
    assert again.keys.tolist() == rows.keys.tolist()
    again.add(found)
    assert len(again) == again.seen == 12
    assert tree.entries(again.demonstrations().observations)["where"][:, 0].tolist() == 2 * [0, 2, 4, 1, 3, 5]


def test_too_little_memory_too_much_and_a_foreign_state_are_refused() -> None:
    with pytest.raises(InputError, match="two rows"):
        AggregatedRows(VECTORS, 1, 1e-6)
    with pytest.raises(InputError, match="a quarter of the free memory"):
        AggregatedRows(VECTORS, 1, 1e9)
    rows = AggregatedRows(VECTORS, 1, 1.0)
    rows.add_rollout(*rollout(0))
    with pytest.raises(InputError, match="per row"):
        AggregatedRows({"": ("float32", (3,))}, 1, 1.0).load_state_dict(rows.state_dict())
    cut = rows.state_dict() | {"keys": np.zeros(2)}
    with pytest.raises(InputError, match="6 rows in every column"):
        rows.load_state_dict(cut)
