"""SQIL: minibatches of demonstrated and own rows, with rewards that depend on their origin alone."""

import pytest
import torch
from stable_baselines3 import SAC, TD3

from rlgen.agents import SQIL, BCConfig, SQILConfig
from rlgen.agents.commands.train_sqil import TrainSQIL
from rlgen.errors import InputError
from rlgen.sb3.absorbed_entropy import absorbed_entropy

from .test_gail_off_policy import Draw, model_of, returned, score


def test_half_of_a_minibatch_is_demonstrated_and_paid_1(point_env, point_demonstrations) -> None:
    model, draw = model_of(SAC, point_env(), seed=70), Draw()
    SQIL(model, point_demonstrations).learn(80, draw)
    own, expert = draw.samples.rewards.flatten().chunk(2)
    ended = draw.samples.dones.flatten()[:25] > 0
    assert (own[~ended] == 0).all()
    assert len(set(own[ended].tolist())) == 1, "the entropy bonus of an absorbing state"
    assert (expert == 1).all()
    shown = {tuple(row) for row in point_demonstrations.observations.tolist()}
    seen = [tuple(row) in shown for row in draw.samples.observations.tolist()]
    assert seen == [False] * 25 + [True] * 25


def test_demonstrated_rows_are_stored_as_the_replay_buffer_stores_its_own(point_env, point_demonstrations) -> None:
    sqil = SQIL(model_of(SAC, point_env()), point_demonstrations)
    torch.testing.assert_close(sqil.experts.actions, torch.tensor(point_demonstrations.actions) / 0.4)
    assert sqil.experts.actions.abs().max() <= 1


def test_an_end_of_the_experts_is_paid_for_ever(point_env, point_demonstrations) -> None:
    sqil = SQIL(model_of(SAC, point_env(), gamma=0.9), point_demonstrations)
    rows = point_demonstrations.transitions()[:2]
    ended = type(rows)(*rows.tensors()[:3], torch.tensor([False, True]), torch.tensor([False, False]))
    torch.manual_seed(0)
    entropy = float(absorbed_entropy(sqil.model, ended.observations))
    torch.manual_seed(0)
    assert sqil.expert_reward(ended).tolist() == pytest.approx([1, 10 + entropy])  # 1 / (1 - 0.9)


def test_it_learns_to_imitate(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env(), learning_rate=3e-3, ent_coef="auto_0.1")
    untrained = returned(model, point_env(seed=5))
    SQIL(model, point_demonstrations).learn(1600)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_it_clones_first_if_asked_and_averages_weights(point_env, point_demonstrations) -> None:
    bc = BCConfig(max_updates=50, check_every=25)
    config = SQILConfig(warm_start=True, bc=bc, critics_first=0, average=0.9, share=0.25)
    model = model_of(TD3, point_env())
    sqil = SQIL(model, point_demonstrations, config).learn(120)
    assert sqil.warm
    assert sqil.average.weights


def test_an_on_policy_model_and_a_share_of_1_are_refused(point_ppo, point_env, point_demonstrations) -> None:
    with pytest.raises(InputError, match="off-policy"):
        SQIL(point_ppo(), point_demonstrations)
    with pytest.raises(InputError, match="share"):
        SQILConfig(share=1.0)


@pytest.mark.parametrize(("algorithm", "bounded"), [("sac", True), ("td3", True), ("dqn", None)])
def test_critics_have_layer_norm_by_default_but_in_earlier_runs(algorithm: str, bounded: bool | None) -> None:
    kind = TrainSQIL.for_arguments(["--learner.algorithm", algorithm], {})
    recorded = kind(out="run", env="Ant-v5", demos="ant.npz").recorded()
    del recorded["agent"]
    assert getattr(TrainSQIL.restored(recorded).learner, "layer_norm", None) is bounded
    if bounded:
        del recorded["learner"]["layer_norm"]  # as it was recorded before
        assert TrainSQIL.restored(recorded).learner.layer_norm is False
