"""One round of learners on HalfCheetah's worlds: all of them in one process, or half of them in each of two."""

from typing import Any

import torch
from stable_baselines3.common.utils import set_random_seed
from torch import Tensor

from rlgen import distributed
from rlgen.agents import GAIL, VIME, DevicePPO, Explorer, GAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode
from rlgen.envs import WarpOptions, make_vec
from rlgen.nn import Bottleneck, PenaltyConfig
from rlgen.rewards import AdversarialConfig, InformationGainConfig, ReturnNormalizer

WORLDS, STEPS, SEED = 8, 16, 3


def learner(batch: int = WORLDS * STEPS) -> DevicePPO:
    n = WORLDS // distributed.world_size()
    env = make_vec("HalfCheetah-v5", n, backend="warp", warp=WarpOptions(device="cpu"))
    set_random_seed(SEED)
    config = LearnerConfig(n_steps=STEPS, batch_size=batch // distributed.world_size(), n_epochs=2, hidden=(16,))
    model = make_model(config, env, SEED)
    assert isinstance(model, DevicePPO)
    return model


def ppo() -> dict[str, Any]:
    """One round of gradient steps on whole rollouts, paid by the task; what it began and ended with."""
    model = learner()
    before = weights(model)
    agent = Explorer(model, scale=ReturnNormalizer(model.gamma, model.n_envs))
    agent.learn(WORLDS * STEPS)
    return {
        "before": before,
        "after": weights(model),
        "observations": model.rollout.observations,
        "actions": model.rollout.actions,
        "rewards": model.rollout.rewards,
        "log": {name: float(value) for name, value in model.logger.name_to_value.items() if name.startswith("train/")},
        "steps": model.num_timesteps,
    }


def gail_and_vime() -> dict[str, Any]:
    """Two rounds of each in small minibatches; the networks in the end and what was seen last."""
    imitator, explorer = learner(64), learner(64)
    low, high = (torch.as_tensor(bound) for bound in (imitator.action_space.low, imitator.action_space.high))
    generator = torch.Generator().manual_seed(0)
    episode = Episode(
        observations=torch.randn(41, 17, generator=generator).numpy(),
        actions=(low + (high - low) * torch.rand(40, 6, generator=generator)).numpy(),
    )
    discriminator = AdversarialConfig(hidden=(8,), batch_size=33, normalizer="running", zero="lowest")
    penalties = PenaltyConfig(gradient=1.0, bottleneck=0.5)
    config = GAILConfig(discriminator=discriminator, penalties=penalties, warm_start=False)
    gail = GAIL(imitator, Demonstrations.from_episodes([episode], env_id="HalfCheetah-v5"), config)
    assert any(isinstance(each, Bottleneck) for each in gail.source.penalties)
    gail.learn(2 * WORLDS * STEPS)
    vime = VIME(InformationGainConfig(hidden=(8,), batch_size=33, updates_per_rollout=3))
    Explorer(explorer, [vime]).learn(2 * WORLDS * STEPS)
    source = vime.begin(explorer).source
    return {
        "imitator": weights(imitator),
        "discriminator": dict(gail.source.network.state_dict()),
        "seen by it": dict(gail.source.observations.state_dict()),
        "explorer": weights(explorer),
        "dynamics": dict(source.model.state_dict()),
        "medians": source.recent_medians,
        "observations": explorer.rollout.observations,
        "pool": len(source.pool),
    }


def weights(model: DevicePPO) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.policy.state_dict().items()}
