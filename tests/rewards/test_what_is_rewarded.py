"""What VIME rewards on recorded rollouts of an Ant: not lying on its back, more speed, and not errors."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rlgen.envs.registry import OBSERVED

SCRIPT = Path(__file__).parents[2] / "experiments" / "vime" / "diagnosis" / "what_is_rewarded.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("what_is_rewarded", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rollouts(script: ModuleType) -> list:
    torch.set_num_threads(1)
    return script.recorded(16)


def test_by_default_it_rewards_an_upright_ant_and_a_fast_one(script: ModuleType, rollouts: list) -> None:
    found = script.measured(script.vime(), OBSERVED[script.TASK], rollouts)
    assert found["flipped"] <= 2
    assert found["fast"] > 1.3
    assert found["error"] < 0.6
    assert found["unpredicted"] <= 1


def test_the_form_of_2016_rewards_contacts_and_errors(script: ModuleType, rollouts: list) -> None:
    found = script.measured(script.CASES["VIME of 2016"][1], None, rollouts)
    assert found["flipped"] > 10
    assert found["fast"] < 1
    assert found["error"] > 0.8
    assert found["unpredicted"] > 50
