"""What the documentation of the variants of imitation shows works, and is so."""

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro

from rlgen.agents import GAILConfig, cli
from rlgen.agents.commands.train import TrainGAIL
from rlgen.data import Demonstrations
from rlgen.data.shipped import shipped_demonstrations
from rlgen.equations.divergences import DIVERGENCES
from rlgen.rewards.adversarial import AdversarialConfig

TEXT = (Path(__file__).parents[2] / "docs" / "imitation_variants.md").read_text(encoding="utf-8")
SMALLER = {
    "1_000_000": "128",
    'PPO("MlpPolicy", ': 'PPO("MlpPolicy", n_steps=16, n_epochs=1, env=',
    "bottleneck=0.5)": "bottleneck=0.5, warm_start=False)",
}
LINES = re.findall(r"^\| [^|]+ \| `([^`|]+)` \| `(--[^`|]+)` \| [^|]*arxiv", TEXT, re.MULTILINE)
COMMANDS = re.findall(r"^    rlgen (.+)$", TEXT, re.MULTILINE)
REWARDS = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \|$", TEXT, re.MULTILINE)


def test_every_block_of_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one rollout of eight environments, and a demonstration at ant.npz in the present folder."""
    Demonstrations.load(shipped_demonstrations("Ant-v5")).first(1).save(tmp_path / "ant.npz")
    monkeypatch.chdir(tmp_path)
    small = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    for shown, run in SMALLER.items():
        assert shown in small
        small = small.replace(shown, run)
    names: dict[str, Any] = {}
    exec(compile(small, "docs/imitation_variants.md", "exec"), names)
    assert names["model"].num_timesteps == 128
    assert names["actions"].shape == (8, 8)


@pytest.mark.parametrize(("settings", "options"), LINES)
def test_both_ways_of_writing_a_variant_are_the_same(settings: str, options: str) -> None:
    config = eval(f"GAILConfig({settings})", {"GAILConfig": GAILConfig, "AdversarialConfig": AdversarialConfig})
    command = ["--env", "Ant-v5", "--demos", "ant.npz", "--out", "run", *options.split()]
    assert tyro.cli(TrainGAIL, args=command).gail == config
    assert config != GAILConfig()


@pytest.mark.parametrize("line", COMMANDS)
def test_every_line_of_the_command_line_is_valid(line: str) -> None:
    found = cli.find(shlex.split(line))
    assert found is not None
    kind = cli.load(found[0])
    assert isinstance(tyro.cli(kind, args=found[1]), kind)


def test_every_variant_but_gail_itself_has_its_line() -> None:
    assert len(LINES) == 9


def test_the_rewards_are_those_of_every_divergence() -> None:
    assert [name for name, *_ in REWARDS] == list(DIVERGENCES)
    logit = torch.cat([-torch.logspace(6, -3, 2000), torch.zeros(1), torch.logspace(-3, 6, 2000)])
    for name, at_zero, lowest, highest in REWARDS:
        reward = DIVERGENCES[name].reward
        assert float(reward(torch.zeros(1))) == pytest.approx(float(at_zero), abs=0.005), name
        for said, found in ((lowest, reward(logit).min()), (highest, reward(logit).max())):
            expected = math.copysign(math.inf, -1 if said[0] == "-" else 1) if "∞" in said else float(said)
            assert (abs(found) > 10 and found * expected > 0) if "∞" in said else abs(found - expected) < 0.005, name
