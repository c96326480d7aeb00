"""A learned reward, on which a policy is trained as `rlgen train rl --reward` does."""

from pathlib import Path

import torch
from numpy.random import Generator
from safetensors import safe_open
from safetensors.torch import load, save

from rlgen.agents.commands.train_rl import TrainRL
from rlgen.agents.learner import LearnerConfig
from rlgen.rewards.learned_reward import DESCRIPTION, FILE, LearnedReward, RewardShape

from .byte_damage import damaged_file
from .json_damage import damaged_json
from .short import short, undrawn
from .subject import Subject
from .tensor_damage import damaged_tensors
from .world import ENV

SHAPE = RewardShape(observation_size=3, action_size=2, n_actions=None, inputs="state_action", hidden=(4,))


def _build(folder: Path) -> None:
    torch.manual_seed(0)
    (folder / FILE).write_bytes(LearnedReward(SHAPE).to_bytes())


def _damage(rng: Generator, folder: Path) -> str:
    path = folder / FILE
    if rng.random() < 0.5:
        return damaged_file(rng, path, damaged_tensors)
    with safe_open(path, "pt") as opened:
        described = opened.metadata()[DESCRIPTION]
    changed, how = damaged_json(rng, described.encode())
    path.write_bytes(save(load(path.read_bytes()), {DESCRIPTION: changed.decode("utf-8", "replace")}))
    return f"{FILE}: its shape: {how}"


def _train(folder: Path) -> None:
    learner = LearnerConfig(n_steps=4, batch_size=8, n_epochs=1, hidden=(4,))
    shared = {"env": ENV, "n_envs": 2, "episodes": 2, "video": False, "threads": 1, "device": "cpu"}
    with short(), undrawn():
        TrainRL(reward=folder / FILE, out=folder / "run", steps=16, learner=learner, **shared).run()


REWARDS = (Subject(name="learned-reward", example="learned-reward", build=_build, damage=_damage, use=_train),)
