"""HyPE: demonstrated rows in the minibatches of off-policy GAIL, rewarded by the discriminator like all others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

from rlgen.agents import GAIL, GAILConfig, HyPE
from rlgen.agents.hype import HYPE
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig

from .test_gail_off_policy import COLD, Draw, model_of, returned, score

CONFIG = replace(COLD, expert_share=0.5)


def test_half_of_a_minibatch_is_demonstrated_and_has_the_discriminators_rewards(
    point_env, point_demonstrations
) -> None:
    model, draw = model_of(SAC, point_env(), seed=70), Draw()
    hype = HyPE(model, point_demonstrations, CONFIG).learn(80, draw)
    hype.learn(4, draw)
    shown = {tuple(row): place for place, row in enumerate(point_demonstrations.observations.tolist())}
    places = [shown.get(tuple(row)) for row in draw.samples.observations.tolist()]
    assert places[:25] == [None] * 25
    experts = point_demonstrations.transitions()[torch.tensor(places[25:])]
    torch.testing.assert_close(draw.rewards[25:], hype.source.reward(experts), atol=1e-5, rtol=1e-5)


def test_it_learns_to_imitate(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env(), learning_rate=3e-3, ent_coef="auto_0.1")
    untrained = returned(model, point_env(seed=5))
    HyPE(model, point_demonstrations, CONFIG).learn(1000)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_hype_is_gail_with_a_share(point_env, point_demonstrations) -> None:
    weights = []
    for kind in (HyPE, GAIL):
        torch.manual_seed(0)
        model = model_of(SAC, point_env(), seed=0)
        kind(model, point_demonstrations, CONFIG).learn(80)
        weights.append(model.actor.mu.weight)
    assert torch.equal(*weights)
    assert HYPE.expert_share == 0.5


def test_what_has_no_minibatches_to_join_or_no_actions_is_refused(point_env, point_ppo, point_demonstrations) -> None:
    with pytest.raises(InputError, match="off-policy"):
        GAIL(point_ppo(), point_demonstrations, GAILConfig(expert_share=0.5))
    with pytest.raises(InputError, match="expert_share above 0"):
        HyPE(model_of(SAC, point_env()), point_demonstrations, COLD)
    with pytest.raises(InputError, match="expert_share"):
        GAILConfig(expert_share=1.0)
    unknown = replace(point_demonstrations, actions=np.full_like(point_demonstrations.actions, np.nan))
    config = replace(CONFIG, discriminator=AdversarialConfig(inputs="state_transition"))
    with pytest.raises(InputError, match="demonstrated actions"):
        HyPE(model_of(SAC, point_env()), unknown, config)
