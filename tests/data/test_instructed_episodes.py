"""Episodes with instructions as numbers: what models of instructions read, and which episodes are refused."""

import numpy as np
import pytest
import torch

from rlgen.data import Demonstrations, Episode
from rlgen.data.instructed_episodes import InstructedEpisodes, RowBatches, joined
from rlgen.data.words import NOTED
from rlgen.errors import InputError
from rlgen.generators.instruction_model import CELLS, VIEW
from rlgen.nn.cross_modal import without_unused
from rlgen.nn.padding import PADDING

from .instructed import LENGTH, demonstrations


@pytest.fixture
def episodes() -> InstructedEpisodes:
    return InstructedEpisodes.of(demonstrations(5))


def test_a_triplet_is_the_view_the_instruction_and_the_action_of_a_step(episodes: InstructedEpisodes) -> None:
    shown = demonstrations(5)
    rows, actions = episodes.triplets()
    assert rows.shape == (len(shown), VIEW + LENGTH)
    assert np.array_equal(rows[:, :CELLS], shown.observations["image"])
    assert np.array_equal(rows[:, CELLS : CELLS + 1], shown.observations["direction"])
    assert np.array_equal(rows[:, VIEW:], shown.observations["mission"])
    assert np.array_equal(actions, shown.actions[:, 0])


def test_a_trajectory_ends_with_its_last_view_and_an_action_that_no_task_has(episodes: InstructedEpisodes) -> None:
    shown, found = demonstrations(5).episodes(), episodes.trajectories()
    for number, one in enumerate(shown):
        steps = len(one.actions)
        assert np.array_equal(found[number, : steps + 1, :CELLS], one.observations["image"])
        assert found[number, :steps, VIEW].tolist() == one.actions[:, 0].tolist()
        assert found[number, steps, VIEW] == 3
        assert (found[number, steps + 1 :, VIEW] == PADDING).all()


def test_parts_joined_again_are_the_same_episodes(episodes: InstructedEpisodes) -> None:
    parts = [episodes.part(torch.tensor(each)) for each in ([0, 1], [2], [3, 4])]
    assert all(torch.equal(*pair) for pair in zip(joined(parts).triplets(), episodes.triplets(), strict=True))
    assert torch.equal(joined(parts).trajectories(), episodes.trajectories())
    assert torch.equal(episodes.part(torch.tensor([3])).words[0], episodes.words[3])


def test_other_instructions_change_nothing_but_the_words(episodes: InstructedEpisodes) -> None:
    other = episodes.with_words(episodes.words.flip(0))
    assert torch.equal(other.trajectories(), episodes.trajectories())
    assert torch.equal(other.triplets()[0][0, VIEW:], episodes.words[-1])


def test_episodes_without_others_have_none_of_their_steps(episodes: InstructedEpisodes) -> None:
    renamed = episodes.part(torch.tensor([1, 3])).with_words(torch.ones(2, LENGTH))
    found = episodes.without(renamed)
    assert torch.equal(found.trajectories(), episodes.part(torch.tensor([0, 2, 4])).trajectories())
    assert len(episodes.without(episodes)) == 0


def test_columns_after_the_longest_instruction_are_left_out(episodes: InstructedEpisodes) -> None:
    assert torch.equal(without_unused(episodes.words), episodes.words[:, :5])
    assert without_unused(torch.zeros(2, 4, dtype=torch.int64)).shape == (2, 1)


def test_batches_go_through_all_rows_and_continue_from_their_state(episodes: InstructedEpisodes) -> None:
    rows, actions = episodes.triplets()
    batches = RowBatches(rows, actions, 4, seed=3)
    next(batches)
    again = RowBatches(rows, actions, 4, seed=7)
    again.load_state_dict(batches.state_dict())
    for _ in range(9):
        assert all(torch.equal(*pair) for pair in zip(next(batches), next(again), strict=True))
    epoch = RowBatches(torch.arange(12)[:, None], torch.arange(12), 4)
    drawn = torch.cat([next(epoch)[1] for _ in range(3)])
    assert drawn.sort().values.tolist() == list(range(12))


def test_other_observations_and_actions_are_refused() -> None:
    vectors = Episode(observations=np.zeros((3, 4)), actions=np.zeros((2, 1)))
    with pytest.raises(InputError, match="an image of 147 codes"):
        InstructedEpisodes.of(Demonstrations.from_episodes([vectors]))
    one = demonstrations(1).episodes()[0]
    halves = Episode(observations=one.observations, actions=one.actions / 4)
    with pytest.raises(InputError, match="one discrete action per step"):
        InstructedEpisodes.of(Demonstrations.from_episodes([halves]))
    strange = {**one.observations, "mission": one.observations["mission"] + np.uint8(200)}
    with pytest.raises(InputError, match="numbers of words; got others under 'mission'"):
        InstructedEpisodes.of(Demonstrations.from_episodes([Episode(observations=strange, actions=one.actions)]))
    one.observations["mission"][:, 0] = 0
    with pytest.raises(InputError, match="padding after the last word alone; got words after padding"):
        InstructedEpisodes.of(Demonstrations.from_episodes([one]))
    with pytest.raises(InputError, match=r"in the words of rlgen\.data\.words"):
        InstructedEpisodes.of(Demonstrations.from_episodes([one], metadata={NOTED: ["", "gehe"]}))
    with pytest.raises(InputError, match="whole episodes for a model of instructions"):
        InstructedEpisodes.of(demonstrations(5).every(2))
