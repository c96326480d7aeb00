import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError


def lengths_of(lengths: list[int], size: int = 1) -> Demonstrations:
    """Episodes of the given lengths whose observation is the time step."""
    return Demonstrations.from_episodes(
        [
            Episode(observations=np.arange(n + 1.0).reshape(-1, 1), actions=np.zeros((n, size)), rewards=np.ones(n))
            for n in lengths
        ]
    )


def test_importing_the_package_loads_neither_torch_nor_numpy() -> None:
    probe = "import sys, rlgen.data; print(sorted({'torch', 'numpy', 'h5py', 'datasets'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_next_observation_at_an_end_is_the_final_one_and_not_the_next_episode(
    demonstrations: Demonstrations,
) -> None:
    assert demonstrations.observations[:, 0].tolist() == demonstrations.next_observations[:, 0].tolist()
    assert (demonstrations.next_observations[:, 1] == demonstrations.observations[:, 1] + 1).all()


def test_a_time_limit_is_not_a_terminal_state(demonstrations: Demonstrations) -> None:
    assert np.flatnonzero(demonstrations.terminated).tolist() == [7]
    assert np.flatnonzero(demonstrations.truncated).tolist() == [4, 14]


def test_the_experts_return_stays_that_of_the_whole_file() -> None:
    whole = lengths_of([10, 2, 3])
    for cut in (whole, whole.first(2), whole.first(2).first(1), whole.first(1).every(2)):
        assert cut.expert_return == 5.0
    assert replace(whole, episode_returns=None, rewards=None).first(1).expert_return is None


def test_where_both_flags_are_set_the_fall_counts(demonstrations: Demonstrations) -> None:
    both = replace(demonstrations, truncated=demonstrations.truncated | demonstrations.terminated)
    assert np.flatnonzero(both.truncated).tolist() == [4, 14]


def test_rows_know_their_episode_step_and_return(demonstrations: Demonstrations, episodes: list[Episode]) -> None:
    assert demonstrations.episode.tolist() == [0] * 5 + [1] * 3 + [2] * 7
    assert demonstrations.step.tolist() == [*range(5), *range(3), *range(7)]
    assert demonstrations.episode_lengths.tolist() == [5, 3, 7]
    assert demonstrations.episode_returns is not None
    sums = [e.rewards.sum() for e in episodes if e.rewards is not None]
    assert demonstrations.episode_returns.tolist() == pytest.approx(sums, rel=1e-6)


def test_arrays_have_the_contract_s_types_and_cannot_be_changed(demonstrations: Demonstrations) -> None:
    for name in ("observations", "actions", "next_observations", "rewards", "episode_returns"):
        assert getattr(demonstrations, name).dtype == np.float32
    for name in ("episode", "step", "episode_lengths"):
        assert getattr(demonstrations, name).dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        demonstrations.observations[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        demonstrations.stride = 3  # type: ignore[misc]


def test_the_caller_s_array_stays_writeable() -> None:
    actions = np.zeros((2, 1), np.float32)
    Demonstrations.from_episodes([Episode(observations=np.zeros((3, 1)), actions=actions)])
    actions[0] = 1
    assert actions[0] == 1


def test_transitions_are_equal_tensors_of_their_own(demonstrations: Demonstrations) -> None:
    batch = demonstrations.transitions()
    assert len(batch) == 15
    for name in ("observations", "actions", "next_observations", "terminated", "truncated"):
        assert getattr(batch, name).numpy().tolist() == getattr(demonstrations, name).tolist()
    batch.actions.add_(1)
    assert not torch.equal(batch.actions, torch.tensor(demonstrations.actions))


def test_a_fingerprint_is_that_of_the_numbers_not_of_the_file(demonstrations: Demonstrations, tmp_path: Path) -> None:
    demonstrations.save(tmp_path / "theirs.npz")
    loaded = Demonstrations.load(tmp_path / "theirs.npz")
    assert loaded.fingerprint == replace(loaded, metadata={"x": 1}).fingerprint == demonstrations.fingerprint
    actions = loaded.actions.copy()
    actions[3, 0] += 1e-3
    others = (replace(loaded, actions=actions), loaded.first(2), loaded.every(2), replace(loaded, rewards=None))
    assert len({each.fingerprint for each in (loaded, *others)}) == 5


def test_first_keeps_the_first_episodes_whole(demonstrations: Demonstrations) -> None:
    two = demonstrations.first(2)
    assert (len(two), two.n_episodes, two.env_id) == (8, 2, "Toy-v0")
    assert two.episode_lengths.tolist() == [5, 3]
    assert two.rewards is not None
    assert demonstrations.rewards is not None
    assert two.rewards.tolist() == demonstrations.rewards[:8].tolist()


@pytest.mark.parametrize("n", [0, 4])
def test_first_refuses_a_number_of_episodes_that_is_not_there(demonstrations: Demonstrations, n: int) -> None:
    with pytest.raises(InputError, match=f"from 1 to 3; got {n}; "):
        demonstrations.first(n)


@settings(max_examples=60)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6), k=st.integers(1, 25), seed=st.integers(0, 9))
def test_every_keeps_equally_spaced_rows_of_every_episode(lengths: list[int], k: int, seed: int) -> None:
    kept = lengths_of(lengths).every(k, seed)
    assert kept.episode_lengths.tolist() == lengths
    assert kept.stride == k
    for e, length in enumerate(lengths):
        steps = kept.step[kept.episode == e]
        assert steps[0] < k
        assert (np.diff(steps) == k).all()
        assert steps[-1] + k >= length


def test_every_step_is_all_rows(demonstrations: Demonstrations) -> None:
    assert demonstrations.every(1).observations.tolist() == demonstrations.observations.tolist()


def test_offsets_of_every_are_uniform_and_repeat_with_the_seed() -> None:
    many = lengths_of([20] * 400)
    offsets = many.every(4, seed=1).step.reshape(400, 5)[:, 0]
    counts = np.bincount(offsets, minlength=4)
    assert abs(counts - 100).max() < 4 * np.sqrt(400 * 0.25 * 0.75)
    assert offsets.tolist() == many.every(4, seed=1).step.reshape(400, 5)[:, 0].tolist()
    assert offsets.tolist() != many.every(4, seed=2).step.reshape(400, 5)[:, 0].tolist()


def test_every_and_first_may_change_places() -> None:
    many = lengths_of([30, 3, 50, 8, 21])
    assert many.every(7, 3).first(3).step.tolist() == many.first(3).every(7, 3).step.tolist()


def test_strides_multiply() -> None:
    assert lengths_of([60]).every(3).every(4).stride == 12
    assert (np.diff(lengths_of([60]).every(3).every(4).step) == 12).all()


def test_a_row_beyond_its_episode_names_the_row(demonstrations: Demonstrations) -> None:
    step = demonstrations.step.copy()
    step[7] = 9
    with pytest.raises(InputError, match="'step' outside the episode's length, row 7 of"):
        replace(demonstrations, step=step)


def test_an_end_before_the_last_step_names_the_row(demonstrations: Demonstrations) -> None:
    terminated = demonstrations.terminated.copy()
    terminated[2] = True
    with pytest.raises(InputError, match="before its last step, row 2 of"):
        replace(demonstrations, terminated=terminated)


def test_shuffled_rows_are_refused(demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match=r"going backwards, row 5 of .*; sort the rows"):
        replace(demonstrations, episode=np.array([1] * 5 + [0] * 3 + [2] * 7))


def test_a_column_of_another_length_names_its_key(demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match=r"shape \[15\] under 'rewards'; got \[14\]"):
        replace(demonstrations, rewards=np.zeros(14))


def test_no_rows_are_refused(demonstrations: Demonstrations) -> None:
    none = {name: getattr(demonstrations, name)[:0] for name in ("observations", "actions", "next_observations")}
    none |= {name: getattr(demonstrations, name)[:0] for name in ("terminated", "truncated", "episode", "step")}
    with pytest.raises(InputError, match="at least one row; got none in"):
        replace(demonstrations, rewards=None, **none)


def test_an_episode_without_its_final_observation_is_refused() -> None:
    with pytest.raises(InputError, match=r"T \+ 1 observations .* 4 observations and 4 actions in episode 0"):
        Demonstrations.from_episodes([Episode(observations=np.zeros((4, 1)), actions=np.zeros((4, 1)))])


def test_metadata_that_is_not_json_is_refused(demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match=r"metadata of JSON values; got .*ndarray"):
        replace(demonstrations, metadata={"array": np.zeros(1)})


def test_the_paper_s_smallest_data_set_is_four_trajectories_of_fifty_rows(shared_data: Path) -> None:
    ant = Demonstrations.load(shared_data / "demos" / "Ant-v5_every20.npz")
    four = ant.first(4)
    assert (four.env_id, four.stride, four.n_episodes, len(four)) == ("Ant-v5", 20, 4, 200)
    assert np.bincount(four.episode).tolist() == [50] * 4
    assert ant.episode_returns is not None
    assert ant.episode_returns.mean() == pytest.approx(4704, abs=1)
    assert four.observations.shape == (200, 105)
    assert np.flatnonzero(ant.truncated).tolist() == np.flatnonzero(ant.step == 999).tolist()


def test_subsampling_the_full_file_keeps_its_returns(shared_data: Path) -> None:
    full = Demonstrations.load(shared_data / "demos" / "HalfCheetah-v5_full.npz")
    ready = Demonstrations.load(shared_data / "demos" / "HalfCheetah-v5_every20.npz").first(25)
    assert full.episode_returns is not None
    assert ready.episode_returns is not None
    assert np.allclose(full.episode_returns, ready.episode_returns, rtol=1e-4)
    at = {(e, t): row for row, (e, t) in enumerate(zip(full.episode.tolist(), full.step.tolist(), strict=True))}
    rows = [at[key] for key in zip(ready.episode.tolist(), ready.step.tolist(), strict=True)]
    assert np.array_equal(full.next_observations[rows], ready.next_observations)
    assert np.array_equal(full.actions[rows], ready.actions)
    assert np.bincount(full.every(20).episode).tolist() == [50] * 25


def test_fallen_humanoid_episodes_are_not_time_limits(shared_data: Path) -> None:
    humanoid = Demonstrations.load(shared_data / "demos" / "Humanoid-v5_every20.npz")
    assert (humanoid.episode_lengths < 1000).sum() == 20
    assert set(humanoid.episode_lengths[humanoid.episode[humanoid.truncated]]) == {1000}
