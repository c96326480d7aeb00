"""Episodes are learned, held out or without instruction, never two of these."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgen.agents.commands.instruction_split import Split
from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError
from tests.data.instructed import demonstrations


def keys(split: Split, name: str) -> set[bytes]:
    return set(getattr(split, name)._steps)


def saved(episodes: list[Episode], path: Path) -> Path:
    Demonstrations.from_episodes(episodes, env_id="test/Two-v0").save(path)
    return path


def test_every_tenth_labelled_episode_is_held_out_and_the_rest_is_unlabelled(tmp_path: Path) -> None:
    demonstrations(60, seed=2).save(tmp_path / "sixty.npz")
    split = Split.of(tmp_path / "sixty.npz", 40, None)
    assert len(split.held_out) == 4
    assert split.unlabelled is not None
    assert not keys(split, "held_out") & (keys(split, "train") | keys(split, "unlabelled"))
    assert not keys(split, "train") & keys(split, "unlabelled")
    assert split.held_out.words.shape[1] == 5
    assert split.length == 8


def test_episodes_of_a_second_recording_with_the_same_seed_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    demonstrations(20, seed=2).save(tmp_path / "few.npz")
    demonstrations(60, seed=2).save(tmp_path / "many.npz")
    with caplog.at_level(logging.WARNING, "rlgen"):
        split = Split.of(tmp_path / "few.npz", None, tmp_path / "many.npz")
    assert "of 60 unlabelled episodes equal labelled ones: left out" in caplog.text
    assert split.unlabelled is not None
    assert 0 < len(split.unlabelled) <= 40
    assert not keys(split, "unlabelled") & (keys(split, "train") | keys(split, "held_out"))
    assert Split.of(tmp_path / "few.npz", None, tmp_path / "few.npz").unlabelled is None


def test_a_copy_of_a_held_out_episode_is_not_learned(tmp_path: Path) -> None:
    twice = demonstrations(10, seed=2).episodes() * 2
    split = Split.of(saved(twice, tmp_path / "twice.npz"), None, None)
    assert not keys(split, "train") & keys(split, "held_out")
    assert len(split.train) > 0
    with pytest.raises(InputError, match="labelled episodes that differ from those held out"):
        Split.of(saved(twice[:1] * 10, tmp_path / "equal.npz"), None, None)


def test_labelled_episodes_need_an_instruction(tmp_path: Path) -> None:
    given = demonstrations(30, seed=2).episodes()
    silent = [
        Episode(
            observations={**each.observations, "mission": np.zeros_like(each.observations["mission"])},
            actions=each.actions,
        )
        for each in given[20:]
    ]
    path = saved([*given[:20], *silent], tmp_path / "partly.npz")
    with pytest.raises(InputError, match=r"an instruction for each labelled episode; got none for 10 of 30 in"):
        Split.of(path, None, None)
    split = Split.of(path, 20, None)
    assert split.unlabelled is not None
    assert torch.equal(split.unlabelled.words, torch.zeros_like(split.unlabelled.words))
