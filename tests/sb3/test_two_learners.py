"""Two processes, each with half of the worlds, train what one process with all of them would."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ..processes import in_processes
from .two_learners import STEPS, WORLDS, ppo

pytest.importorskip("warp")

FILE = Path(__file__).with_name("two_learners.py")


def test_a_first_update_of_two_processes_is_that_of_one_with_all_worlds(tmp_path: Path) -> None:
    one, two = ppo(), in_processes(FILE, "ppo", tmp_path)
    assert [each["steps"] for each in two] == [one["steps"]] * 2 == [WORLDS * STEPS] * 2
    for name in ("observations", "actions", "rewards"):
        torch.testing.assert_close(torch.cat([each[name] for each in two], 1), one[name], atol=1e-5, rtol=1e-5)
    moved = {name: (value - one["before"][name]).abs().max() for name, value in one["after"].items()}
    assert all(moved[name] > 1e-4 for name in moved if "net" in name)
    for each in two:
        for name, value in each["after"].items():
            torch.testing.assert_close(value, one["after"][name], atol=1e-5, rtol=1e-5, msg=name)
        for name in ("approx_kl", "loss", "value_loss", "learning_rate", "clip_fraction"):
            assert each["log"][f"train/{name}"] == pytest.approx(one["log"][f"train/{name}"], abs=1e-5)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(FILE, "gail_and_vime", tmp_path_factory.mktemp("gail"))


@pytest.mark.parametrize("name", ["imitator", "discriminator", "seen by it", "explorer", "dynamics"])
def test_two_processes_have_the_same_networks_after_two_rounds(found: list[dict[str, Any]], name: str) -> None:
    first, second = (each[name] for each in found)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_two_processes_see_worlds_of_their_own(found: list[dict[str, Any]]) -> None:
    first, second = found
    assert not torch.equal(first["observations"], second["observations"])
    assert first["pool"] == second["pool"] == WORLDS * STEPS
    assert torch.equal(first["medians"], second["medians"])
