# ruff: noqa: NPY002 (SB3 draws from the legacy global generator)
"""GAIL with off-policy learners: rewards from the discriminator alone, for what the replay buffer holds."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.agents import BC, GAIL, BCConfig, GAILConfig
from rlgen.agents.gail import OFF_POLICY
from rlgen.data import Demonstrations
from rlgen.errors import InputError
from rlgen.runs.evaluation import evaluate
from rlgen.sb3.absorbed_entropy import absorbed_entropy
from rlgen.sb3.features import NormalisedObservations
from rlgen.sb3.relabel_replay import RelabelingReplayBuffer, ReplayDraws, stored_transitions
from rlgen.system.rng import rng_state, set_rng_state

CONFIG = replace(
    OFF_POLICY,
    discriminator=replace(OFF_POLICY.discriminator, hidden=(32,), batch_size=64),
    bc=BCConfig(max_updates=100, plain_below=0),
    critics_first=60,
)
COLD = replace(CONFIG, warm_start=False)


def contrib(name: str) -> Any:
    return getattr(pytest.importorskip("sb3_contrib"), name)


def model_of(kind: Any, env: Any, seed: int = 0, **changes: Any) -> OffPolicyAlgorithm:
    settings: dict[str, Any] = {
        "learning_starts": 40,
        "batch_size": 32,
        "buffer_size": 4000,
        "gamma": 0.9,
        "gradient_steps": -1,
        "policy_kwargs": {"net_arch": [16], "features_extractor_class": NormalisedObservations},
        "device": "cpu",
    }
    return kind("MlpPolicy", env, seed=seed, **(settings | changes))


def score(model: OffPolicyAlgorithm, env: Any, demonstrations: Demonstrations, untrained: float) -> float:
    """Normalized return: 0 of the untrained policy, 1 of the expert."""
    expert = demonstrations.episode_returns.mean()
    assert untrained < expert - 1
    return (returned(model, env) - untrained) / (expert - untrained)


def returned(model: OffPolicyAlgorithm, env: Any) -> float:
    return evaluate(model, env, 40, seed=9, label=None).returns.mean()


class Draw(BaseCallback):
    """A minibatch as the learner would draw it, after the last rollout, and its transitions."""

    model: OffPolicyAlgorithm

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model.replay_buffer, RelabelingReplayBuffer)
        state = rng_state()
        np.random.seed(7)
        torch.manual_seed(7)
        self.samples = self.model.replay_buffer.sample(50)
        self.rewards = self.samples.rewards.flatten()
        np.random.seed(7)
        buffer = self.model.replay_buffer.buffer
        rows = np.random.randint(0, buffer.pos, 50)
        self.rows = stored_transitions(self.model, rows, np.random.randint(0, buffer.n_envs, 50))
        torch.manual_seed(7)
        self.entropy = absorbed_entropy(self.model, self.rows.observations)
        set_rng_state(state)


@pytest.mark.parametrize("kind", ["SAC", "TD3", "DDPG", "TQC", "CrossQ"])
def test_every_learner_with_an_actor_is_paid_by_the_discriminator_alone(
    kind: str, point_env, point_demonstrations
) -> None:
    known = {"SAC": SAC, "TD3": TD3, "DDPG": DDPG}
    model = model_of(known.get(kind) or contrib(kind), point_env())
    gail, draw = GAIL(model, point_demonstrations, CONFIG), Draw()
    gail.learn(120, draw)
    assert model.num_timesteps == 120
    assert not isinstance(model.replay_buffer, RelabelingReplayBuffer)
    gail.learn(4, draw)
    own = gail.source.reward(draw.rows) + draw.entropy * draw.rows.terminated
    torch.testing.assert_close(draw.rewards, own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["SAC", "CrossQ"])
def test_an_absorbing_state_has_the_entropy_bonus_of_the_steps_outside(kind: str, point_env) -> None:
    """The policy's own entropy, also where the coefficient is fixed and no target is pursued."""
    torch.manual_seed(0)
    sac: Any = model_of(SAC if kind == "SAC" else contrib(kind), point_env(), ent_coef=0.02, gamma=0.9)
    seen = torch.randn(20000, 2)
    sac.policy.set_training_mode(True)
    before = {name: value.clone() for name, value in sac.policy.state_dict().items()}
    found = float(absorbed_entropy(sac, seen))
    assert sac.actor.training
    assert all(torch.equal(value, before[name]) for name, value in sac.policy.state_dict().items())
    sac.policy.set_training_mode(False)
    mean, log_std, _ = sac.actor.get_action_dist_params(seen)
    normal = torch.distributions.Normal(mean, log_std.exp())
    squashed = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform())
    entropy = -squashed.log_prob(squashed.sample().clamp(-1 + 1e-6, 1 - 1e-6)).sum(1).mean().detach()
    assert found == pytest.approx(0.02 * 9 * float(entropy), abs=0.01)
    assert float(absorbed_entropy(model_of(TD3, point_env()), seen)) == 0


def test_sac_learns_to_imitate_without_cloning(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env(), learning_rate=3e-3, ent_coef="auto_0.1")
    untrained = returned(model, point_env(seed=5))
    GAIL(model, point_demonstrations, COLD).learn(800)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_what_sac_has_learned_to_imitate_it_keeps(point_env, point_demonstrations) -> None:
    """A penalty towards a slope of 1 and absorbing states without entropy had 0.12 here, after 0.94."""
    model = model_of(SAC, point_env(), learning_rate=3e-3, ent_coef="auto_0.1")
    untrained = returned(model, point_env(seed=5))
    GAIL(model, point_demonstrations, COLD).learn(3200)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.7


@pytest.mark.parametrize("kind", ["SAC", "CrossQ"])
def test_the_warm_start_clones_the_actor_and_its_critics_learn_first(
    kind: str, point_env, point_demonstrations
) -> None:
    model = model_of(SAC if kind == "SAC" else contrib(kind), point_env())
    untrained = returned(model, point_env(seed=5))
    gail = GAIL(model, point_demonstrations, replace(CONFIG, bc=BCConfig(max_updates=400)))
    gail.warm_up()
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75
    cloned = {name: value.clone() for name, value in model.actor.state_dict().items()}
    critics = [value.clone() for value in model.critic.parameters()]
    coefficient = model.log_ent_coef.clone()
    gail.learn(60)
    assert all(torch.equal(value, cloned[name]) for name, value in model.actor.state_dict().items())
    assert not any(torch.equal(a, b) for a, b in zip(critics, model.critic.parameters(), strict=True))
    torch.testing.assert_close(model.log_ent_coef, coefficient, rtol=0, atol=0)
    gail.learn(20)
    assert not torch.equal(model.actor.mu.weight, cloned["mu.weight"])
    assert not torch.equal(model.log_ent_coef, coefficient)


def test_a_clone_acts_from_the_first_step_on(point_env, point_demonstrations, caplog) -> None:
    """Not at random for `learning_starts` steps. Whoever trains for less than the critics need is warned."""
    model = model_of(SAC, point_env(), learning_starts=1000)
    gail = GAIL(model, point_demonstrations, replace(CONFIG, critics_first=1000))
    gail.learn(40)
    assert "the policy will stay the clone" in caplog.text
    caplog.clear()
    assert model.learning_starts == 1000
    buffer = model.replay_buffer
    with torch.no_grad():
        cloned = model.actor(torch.from_numpy(buffer.observations[: buffer.pos].reshape(-1, 2)), deterministic=True)
    acted = buffer.actions[: buffer.pos].reshape(-1, cloned.shape[1])
    assert abs(acted - cloned.numpy()).std() < 0.2 < acted.std()
    gail.learn(1000)
    assert not caplog.text


def test_the_noise_after_cloning_is_what_the_temperature_asks_for(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env())
    GAIL(model, point_demonstrations, CONFIG).warm_up()
    _, log_std, _ = model.actor.get_action_dist_params(torch.zeros(3, 2))
    gaussian = torch.distributions.Normal(torch.zeros(3, 2), log_std.exp())
    torch.testing.assert_close(gaussian.entropy().sum(1), torch.full((3,), float(model.target_entropy)))


def test_td3s_target_actor_is_cloned_too(point_env, point_demonstrations) -> None:
    model = model_of(TD3, point_env())
    GAIL(model, point_demonstrations, CONFIG).warm_up()
    for own, target in zip(model.actor.parameters(), model.actor_target.parameters(), strict=True):
        torch.testing.assert_close(own, target)


@pytest.mark.parametrize("kind", [SAC, TD3])
def test_bc_clones_an_actor(kind: Any, point_env, point_demonstrations) -> None:
    model = model_of(kind, point_env())
    untrained = returned(model, point_env(seed=5))
    BC(model, point_demonstrations, BCConfig(max_updates=400)).learn()
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_observations_are_normalized_by_the_demonstrations_in_actor_and_critics(
    point_env, point_demonstrations
) -> None:
    model = model_of(SAC, point_env())
    GAIL(model, point_demonstrations, COLD).warm_up()
    found = [part.normaliser.mean for part in model.policy.modules() if isinstance(part, NormalisedObservations)]
    assert len(found) == 3  # actor, critics, their targets
    for mean in found:
        np.testing.assert_allclose(mean, point_demonstrations.observations.mean(0), atol=1e-5)


def test_draws_are_due_by_environment_steps_and_come_from_the_whole_buffer(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env())
    GAIL(model, point_demonstrations, COLD).learn(80)
    draws = ReplayDraws(model, every=6, rows=500)
    due = []
    for _ in range(3):
        draws.add(np.zeros((4, 2)))
        due.append(sum(draws.take("cpu") is not None for _ in range(3)))
    assert due == [0, 1, 1]
    draws.add(np.zeros((4, 2)))
    drawn = draws.take("cpu")
    assert drawn is None or len(drawn[0]) == 500
    draws.waiting = 6
    batch, starts = draws.take("cpu")
    assert not starts.any()
    assert len({tuple(row) for row in batch.observations.tolist()}) > 40  # of 80


@pytest.mark.parametrize(
    ("changes", "config", "said"),
    [
        (
            {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
            COLD,
            "last observations",
        ),
        ({}, replace(COLD, scale_reward=True), "scale_reward=False"),
        ({"gamma": 1.0}, replace(COLD, discriminator=replace(COLD.discriminator, absorbing="on")), "gamma 1"),
    ],
    ids=["without last observations", "scaled rewards", "no discount"],
)
def test_what_cannot_be_trained_is_refused(
    changes: dict, config: GAILConfig, said: str, point_env, point_demonstrations
) -> None:
    with pytest.raises(InputError, match=said):
        GAIL(model_of(SAC, point_env(), **changes), point_demonstrations, config)


def test_a_learner_without_an_actor_cannot_be_warmed() -> None:
    env = make_vec_env("CartPole-v1", 1)
    with pytest.raises(InputError, match="with an actor"):
        BC(DQN("MlpPolicy", env), Demonstrations.record(RandomCart(), env, 2))


class RandomCart:
    def predict(self, observation: np.ndarray, **_: Any) -> tuple[np.ndarray, None]:
        return np.random.randint(0, 2, len(observation)), None


@pytest.mark.parametrize(("on_policy", "ended", "chosen"), [(True, 0.1, False), (True, 1.0, True), (False, 0.0, True)])
def test_data_and_learner_choose_absorbing_states_and_the_log_says_why(
    on_policy: bool, ended: float, chosen: bool, point_env, point_ppo, point_demonstrations, caplog
) -> None:
    caplog.set_level(logging.INFO, "rlgen")
    last = np.flatnonzero(np.diff(point_demonstrations.episode, append=-1))
    terminated = np.zeros(len(point_demonstrations), bool)
    terminated[last[: round(ended * len(last))]] = True
    shown = replace(point_demonstrations, terminated=terminated, truncated=np.zeros_like(terminated))
    gail = GAIL(point_ppo() if on_policy else model_of(SAC, point_env()), shown)
    assert (gail.source.absorbing is not None) == chosen
    found = [record.getMessage() for record in caplog.records if "absorbing states, because" in record.getMessage()]
    assert len(found) == chosen
    assert not chosen or ("off-policy" if not on_policy else "100 %") in found[0]
