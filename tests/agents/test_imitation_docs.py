"""What the documentation of the variants of imitation says is so; `tests/test_docs_run.py` runs its code."""

import math
import re
from pathlib import Path

import pytest
import torch
import tyro

from rlgen.agents import GAILConfig
from rlgen.agents.commands.train_gail import TrainGAIL
from rlgen.equations.divergences import DIVERGENCES
from rlgen.nn import PenaltyConfig
from rlgen.rewards import AdversarialConfig

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "imitation_variants.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| [^|]+ \| `([^`|]+)` \| `(--[^`|]+)` \| [^|]*arxiv", TEXT, re.MULTILINE)
REWARDS = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("settings", "options"), LINES)
def test_both_ways_of_writing_a_variant_are_the_same(settings: str, options: str) -> None:
    names = {kind.__name__: kind for kind in (GAILConfig, AdversarialConfig, PenaltyConfig)}
    config = eval(f"GAILConfig({settings})", names)
    command = ["--env", "Ant-v5", "--demos", "ant.npz", "--out", "run", *options.split()]
    assert tyro.cli(TrainGAIL, args=command).gail == config
    assert config != GAILConfig()


def test_every_variant_but_gail_itself_has_its_line_and_the_readme_their_number() -> None:
    rows = re.findall(r"^\|(?:[^|\n]*\|){3}[^|\n]*arxiv[^\n]*\|$", TEXT, re.MULTILINE)
    assert len(LINES) == len(rows) - 1 > 0
    number = ("eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen")[len(LINES) - 8]
    assert f"{number} variants of GAIL" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_rewards_are_those_of_every_divergence() -> None:
    assert [name for name, *_ in REWARDS] == list(DIVERGENCES)
    logit = torch.cat([-torch.logspace(6, -3, 2000), torch.zeros(1), torch.logspace(-3, 6, 2000)])
    for name, at_zero, lowest, highest in REWARDS:
        reward = DIVERGENCES[name].reward
        assert float(reward(torch.zeros(1))) == pytest.approx(float(at_zero), abs=0.005), name
        for said, found in ((lowest, reward(logit).min()), (highest, reward(logit).max())):
            expected = math.copysign(math.inf, -1 if said[0] == "-" else 1) if "∞" in said else float(said)
            assert (abs(found) > 10 and found * expected > 0) if "∞" in said else abs(found - expected) < 0.005, name
