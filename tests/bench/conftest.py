"""A small protocol, and a cache of measurements that is not the user's."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rlgen.bench.cells import Cell, Resolved, cells_of, identified
from rlgen.bench.folder import BenchFolder, Plan
from rlgen.bench.protocol import parse_protocol

TINY = """
title = "Two learners on the pendulum"
seeds = [0, 1]
tuned_on = [1]

[options]
steps = 64
n-envs = 1
"learner.n-steps" = 32
evaluate-every = 0
episodes = 1

[[tasks]]
env = "Pendulum-v1"
expert = -150.0

[agents.ppo]
command = "train rl"

[agents.a2c]
command = "train rl"
options = { "learner.algorithm" = "a2c" }

[[published]]
task = "Pendulum-v1"
agent = "ppo"
value = -172.2
source = "a paper"

[figure]
curve = "rollout/ep_rew_mean"
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def typed_options(arguments: Sequence[str]) -> Resolved:
    """A stand-in for the command line's settings: the words themselves."""
    return Resolved({"words": list(arguments)}, ())


def plan_of(text: str, cells: Sequence[Cell] | None = None) -> Plan:
    found = cells_of(parse_protocol(text)) if cells is None else cells
    identities = identified(found, typed_options, None, "0.1.0", "native")
    return Plan(rlgen="0.1.0", margin_rule="native", quick=False, data=None, cells=tuple(identities))


@pytest.fixture
def tiny(tmp_path: Path) -> BenchFolder:
    """A prepared benchmark of four cells."""
    return BenchFolder.prepare(tmp_path / "bench", TINY, plan_of(TINY))
