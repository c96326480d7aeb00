"""Ten mistakes that other implementations of GAIL make, each as a fact that holds here."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.agents import GAIL, BCConfig, GAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode, Transitions
from rlgen.nn import PenaltyConfig
from rlgen.rewards import AdversarialConfig
from rlgen.sb3 import normalized_policy

SMALL = AdversarialConfig(hidden=(8,), learning_rate=1e-3, updates_per_rollout=2, batch_size=32)
CONFIG = GAILConfig(discriminator=SMALL, warm_start=False, scale_reward=False)


class Witness:
    """Notes what a GAIL's discriminator was given and what it paid, call by call."""

    def __init__(self, gail: GAIL, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Transitions] = []
        self.rewards: list[torch.Tensor] = []
        self.logits: list[torch.Tensor] = []
        self.means: list[list[torch.Tensor]] = []
        self.calls: list[int] = []
        """Rows of each forward pass of the network."""
        source = gail.source
        pay, update, step = source.reward, source.update, source._graph_step

        def reward(batch: Transitions) -> torch.Tensor:
            self.batches.append(batch)
            self.means[-1].append(source.observations.entries[""].normalizer.mean.clone())
            with torch.no_grad():
                self.logits.append(source.logit(source.inputs(batch)))
            self.rewards.append(pay(batch))
            return self.rewards[-1]

        def learn(batch: Transitions) -> dict[str, torch.Tensor]:
            self.means.append([])
            return update(batch)

        def one_step(rows: torch.Tensor) -> dict[str, torch.Tensor]:
            self.means[-1].append(source.observations.entries[""].normalizer.mean.clone())
            return step(rows)

        monkeypatch.setattr(source, "reward", reward)
        monkeypatch.setattr(source, "update", learn)
        monkeypatch.setattr(source, "_graph_step", one_step)
        source.network.register_forward_hook(lambda module, inputs, output: self.calls.append(len(inputs[0])))


# 1. A reward normalizer around the reward is silently bypassed.


def test_the_policy_learns_from_exactly_what_the_discriminator_pays(
    point_ppo, point_demonstrations, spy, monkeypatch
) -> None:
    model = point_ppo()
    gail = GAIL(model, point_demonstrations, CONFIG)
    witness = Witness(gail, monkeypatch)
    gail.learn(128, spy)
    assert len(spy.rollouts) == len(witness.rewards) == 2
    for i, buffer in enumerate(spy.rollouts):
        paid = witness.rewards[i].reshape(16, 4).numpy()
        ended = np.array(model.get_env().traffic.ended[16 * i : 16 * (i + 1)])
        np.testing.assert_array_equal(buffer["rewards"][~ended], paid[~ended])
        np.testing.assert_allclose(buffer["returns"], buffer["advantages"] + buffer["values"], rtol=1e-6)


def test_the_scale_of_rewards_learns_from_every_step_and_divides_what_is_paid(
    point_ppo, point_demonstrations, spy, monkeypatch
) -> None:
    model = point_ppo()
    gail = GAIL(model, point_demonstrations, replace(CONFIG, scale_reward=True))
    witness = Witness(gail, monkeypatch)
    gail.learn(128, spy)
    assert gail.scale is not None
    assert float(gail.scale.return_std.count) == 128, "it counts updates"
    paid, ended = witness.rewards[-1].reshape(16, 4).numpy(), np.array(model.get_env().traffic.ended[16:])
    ratio = (paid / spy.rollouts[-1]["rewards"])[~ended]
    np.testing.assert_allclose(ratio, np.sqrt(float(gail.scale.return_std.var)), rtol=1e-5)
    assert abs(ratio[0] - 1) > 0.01


@pytest.mark.parametrize("warm_start", [False, True])
def test_under_a_normalizing_environment_the_discriminator_sees_raw_observations_and_the_policy_its_own(
    warm_start: bool, point_env, point_demonstrations, spy, monkeypatch
) -> None:
    tap = point_env()
    env = VecNormalize(tap)
    model = make_model(LearnerConfig(n_steps=16, batch_size=32, normalize=False), env, seed=0)
    config = replace(CONFIG, warm_start=warm_start, bc=BCConfig(max_updates=20, check_every=10))
    gail = GAIL(model, point_demonstrations, config)
    witness = Witness(gail, monkeypatch)
    gail.learn(128, spy)
    for i, (batch, buffer) in enumerate(zip(witness.batches, spy.rollouts, strict=True)):
        following = np.array(tap.traffic.following[16 * i : 16 * (i + 1)]).reshape(64, 2)
        np.testing.assert_allclose(batch.next_observations, following, atol=1e-5)
        ended = np.array(tap.traffic.ended[16 * i : 16 * (i + 1)])
        paid = witness.rewards[i].reshape(16, 4).numpy()
        np.testing.assert_array_equal(buffer["rewards"][~ended], paid[~ended])  # neither the task's nor scaled
        assert np.abs(buffer["observations"].reshape(64, 2) - batch.observations.numpy()).max() > 0.1
    # After a reset and 32 steps of 4 environments, or, as the clone needs them, after the demonstrations alone.
    assert env.obs_rms.count == pytest.approx(len(point_demonstrations) if warm_start else 4 + 128, abs=0.01)
    assert env.training


# 2. Each round ends at progress 0, so a linear learning rate is 0 in every round.


@pytest.mark.parametrize("schedule", ["sb3", "rlgen"])
def test_a_linear_learning_rate_falls_over_the_whole_run_and_the_policy_moves(
    schedule: str, point_env, point_ppo, point_demonstrations, spy
) -> None:
    if schedule == "sb3":
        model = point_ppo(learning_rate=LinearSchedule(1e-3, 0.0, 1.0))
    else:
        settings = LearnerConfig(n_steps=16, batch_size=32, n_epochs=1, learning_rate=1e-3, schedule="linear")
        model = make_model(settings, point_env(), seed=0)
    before = {name: value.clone() for name, value in model.policy.named_parameters()}
    GAIL(model, point_demonstrations, CONFIG).learn(64 * 10, spy)
    rates = spy.rates[1:]
    assert len(rates) == 10
    assert rates[4] == pytest.approx(0.5e-3, rel=0.02)
    assert all(np.diff(rates) < 0)
    assert all(rate > 0 for rate in rates[:-1])
    assert all(not torch.equal(value, before[name]) for name, value in model.policy.named_parameters())


def test_rlgens_linear_learning_rate_is_above_zero_in_the_last_round_too(point_env, point_demonstrations, spy) -> None:
    settings = LearnerConfig(n_steps=16, batch_size=32, n_epochs=1, learning_rate=1e-3, schedule="linear")
    model = make_model(settings, point_env(), seed=0)
    GAIL(model, point_demonstrations, CONFIG).learn(100, spy)  # two rounds of 64 overshoot it
    assert min(spy.rates) > 0


# 3. A time limit is stored as a terminal state.


def test_demonstrated_time_limits_and_falls_stay_apart_from_file_to_discriminator(
    tmp_path: Path, point_ppo, monkeypatch
) -> None:
    path = np.linspace(0, 1, 4)[:, None] * np.ones(2)
    episodes = [Episode(observations=path, actions=np.zeros((3, 2)), terminated=fell) for fell in (True, False)]
    Demonstrations.from_episodes(episodes).save(tmp_path / "two.npz")
    gail = GAIL(point_ppo(), Demonstrations.load(tmp_path / "two.npz"), CONFIG)
    assert gail.source.demonstrations.terminated.tolist() == [False, False, True, False, False, False]
    assert gail.source.demonstrations.truncated.tolist() == [False] * 5 + [True]


def test_the_policys_time_limits_and_falls_reach_the_discriminator_apart(
    point_ppo, point_demonstrations, monkeypatch
) -> None:
    model = point_ppo(n_steps=64)
    gail = GAIL(model, point_demonstrations, CONFIG)
    witness = Witness(gail, monkeypatch)
    gail.learn(256)
    traffic, batch = model.get_env().traffic, witness.batches[0]
    terminated, ended = np.concatenate(traffic.terminated), np.concatenate(traffic.ended)
    assert terminated.any()
    assert (ended & ~terminated).any()
    np.testing.assert_array_equal(batch.terminated.numpy(), terminated)
    np.testing.assert_array_equal(batch.truncated.numpy(), ended & ~terminated)
    np.testing.assert_array_equal(batch.next_observations.numpy(), np.concatenate(traffic.following))


@pytest.mark.parametrize("scaled", [False, True])
def test_advantages_bootstrap_at_time_limits_once_and_at_falls_never(
    scaled: bool, point_ppo, point_demonstrations, spy, monkeypatch
) -> None:
    model = point_ppo(n_steps=64, learning_rate=1e-12)  # so that the values can be computed again afterwards
    gail = GAIL(model, point_demonstrations, replace(CONFIG, scale_reward=scaled))
    witness = Witness(gail, monkeypatch)
    gail.learn(256, spy)
    traffic, buffer = model.get_env().traffic, spy.rollouts[0]
    terminated, ended = np.array(traffic.terminated), np.array(traffic.ended)
    assert terminated.any()
    assert (ended & ~terminated).any()
    with torch.no_grad():
        following = torch.as_tensor(np.array(traffic.following)).flatten(0, 1)
        next_values = model.policy.predict_values(following).reshape(64, 4).numpy()
    # Schulman et al. 2016, eq. 16, written out: V of the true next observation, nothing after a fall.
    paid = witness.rewards[0].reshape(64, 4).numpy()
    if gail.scale is not None:
        paid = paid / np.sqrt(float(gail.scale.return_std.var))
    delta = paid + 0.9 * next_values * ~terminated - buffer["values"]
    advantage, expected = np.zeros(4), np.zeros((64, 4))
    for time in reversed(range(64)):
        advantage = delta[time] + 0.9 * 0.8 * ~ended[time] * advantage
        expected[time] = advantage
    np.testing.assert_allclose(buffer["advantages"], expected, rtol=1e-4, atol=1e-5)


# 4. Scores see other actions than the environment.


def test_the_discriminator_sees_the_actions_that_the_environment_received(
    point_ppo, point_demonstrations, spy, monkeypatch
) -> None:
    model = point_ppo(policy_kwargs=normalized_policy([16], log_std_init=0.0))
    gail = GAIL(model, point_demonstrations, CONFIG)
    witness = Witness(gail, monkeypatch)
    gail.learn(64, spy)
    assert (np.abs(spy.rollouts[0]["actions"]) > 0.4).mean() > 0.3, "many sampled actions lie outside the bounds"
    received = np.concatenate(model.get_env().traffic.actions)
    np.testing.assert_array_equal(witness.batches[0].actions.numpy(), received)
    np.testing.assert_array_equal(np.abs(received).max(), np.float32(0.4))


# 5. Expert and policy actions on different scales; raw logits as reward.


@pytest.mark.parametrize("squash", [False, True])
def test_expert_and_policy_actions_come_on_one_scale(
    squash: bool, point_ppo, point_demonstrations, monkeypatch
) -> None:
    model = point_ppo(use_sde=squash, policy_kwargs={"squash_output": squash, "net_arch": [16]})
    gail = GAIL(model, point_demonstrations, CONFIG)
    witness = Witness(gail, monkeypatch)
    gail.learn(64)
    received = np.concatenate(model.get_env().traffic.actions)
    np.testing.assert_allclose(witness.batches[0].actions.numpy(), received, rtol=1e-6)
    seen_of_policy = gail.source.inputs(witness.batches[0])[:, 2:]
    seen_of_expert = gail.source.inputs(gail.source.demonstrations)[:, 2:]
    np.testing.assert_allclose(seen_of_policy.numpy(), received / 0.4, rtol=1e-5)
    np.testing.assert_allclose(seen_of_expert.numpy(), point_demonstrations.actions / 0.4, rtol=1e-5)
    assert seen_of_expert.abs().max() == 1, "the whole range, not two fifths of it"


def test_the_reward_is_minus_log_one_minus_d_and_not_the_logit(point_ppo, point_demonstrations, monkeypatch) -> None:
    gail = GAIL(point_ppo(), point_demonstrations, CONFIG)
    witness = Witness(gail, monkeypatch)
    gail.learn(64)
    torch.testing.assert_close(witness.rewards[0], -torch.log1p(-torch.sigmoid(witness.logits[0])))
    assert (witness.rewards[0] > 0).all()
    assert not torch.allclose(witness.rewards[0], witness.logits[0])


# 6. The policy's normalizer moves during the epochs.


def test_old_and_new_log_probabilities_of_an_unchanged_policy_are_equal(point_ppo, point_demonstrations, spy) -> None:
    model = point_ppo(learning_rate=1e-12)
    GAIL(model, point_demonstrations, CONFIG).learn(256, spy)
    for buffer in spy.rollouts:
        with torch.no_grad():
            observations = torch.as_tensor(buffer["observations"]).flatten(0, 1)
            _, log_prob, _ = model.policy.evaluate_actions(
                observations, torch.as_tensor(buffer["actions"]).flatten(0, 1)
            )
        ratio = (log_prob - torch.as_tensor(buffer["log_probs"]).flatten()).exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)


def test_the_policys_normalizer_stands_still_while_the_policy_learns(point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    gail = GAIL(model, point_demonstrations, replace(CONFIG, warm_start=True, bc=BCConfig(max_updates=200)))
    gail.learn(256)
    normalizer = model.policy.features_extractor.normaliser
    demos = torch.as_tensor(point_demonstrations.observations.copy()).double()
    assert float(normalizer.count) == len(demos), "the demonstrations, once"
    torch.testing.assert_close(normalizer.mean, demos.mean(0).float())
    torch.testing.assert_close(normalizer.var, demos.var(0, unbiased=False))


def test_a_running_normalizer_of_the_discriminator_moves_only_between_rounds(
    point_ppo, point_demonstrations, monkeypatch
) -> None:
    gail = GAIL(point_ppo(), point_demonstrations, replace(CONFIG, discriminator=replace(SMALL, normalizer="running")))
    witness = Witness(gail, monkeypatch)
    gail.learn(64 * 3)
    for of_round in witness.means:
        assert len(of_round) == SMALL.updates_per_rollout + 1, "its gradient steps and its reward"
        assert all(torch.equal(mean, of_round[0]) for mean in of_round)
    assert not torch.equal(witness.means[0][0], witness.means[1][0])


# 7. A Python loop over environments and steps.


@pytest.mark.parametrize(("n_envs", "n_steps"), [(2, 16), (8, 16), (2, 64)])
def test_the_discriminators_passes_do_not_grow_with_environments_or_steps(
    n_envs: int, n_steps: int, point_ppo, point_demonstrations, monkeypatch
) -> None:
    gail = GAIL(
        point_ppo(n_envs=n_envs, n_steps=n_steps), point_demonstrations, replace(CONFIG, penalties=PenaltyConfig())
    )
    calls: list[int] = []
    gail.source.network.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    gail.learn(n_envs * n_steps)
    both_sides = 2 * SMALL.batch_size
    assert calls == [both_sides] * SMALL.updates_per_rollout + [n_envs * n_steps]


# 8. No resume, pickle everywhere.


def leaves(tree: Any, place: str = "") -> dict[str, Any]:
    """Place → value of every leaf of nested dictionaries and lists."""
    if isinstance(tree, dict):
        return {k: v for key, item in tree.items() for k, v in leaves(item, f"{place}/{key}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for i, item in enumerate(tree) for k, v in leaves(item, f"{place}/{i}").items()}
    return {place: tree}


def test_the_state_holds_every_part_that_learns_and_nothing_that_needs_pickle(point_ppo, point_demonstrations) -> None:
    gail = GAIL(point_ppo(), point_demonstrations, CONFIG)
    gail.learn(128)
    state = leaves(gail.state_dict())
    for part in (
        "/source/network/0.weight",
        "/source/optimiser/state/0/exp_avg",
        "/source/optimiser/state/0/exp_avg_sq",
        "/source/normaliser/mean",
        "/model/policy/action_net.weight",
        "/model/policy/features_extractor.normaliser.mean",
        "/model/optimiser/state/0/exp_avg",
        "/model/num_timesteps",
        "/model/last_observations",
        "/average/weights/action_net.weight",
    ):
        assert part in state
    plain = (torch.Tensor, np.ndarray, np.generic, bool, int, float, str, type(None))
    assert [place for place, value in state.items() if not isinstance(value, plain)] == []


# 9. Episodes of different length are refused.


def test_episodes_of_different_length_simply_work(point_ppo) -> None:
    lengths = (20, 7, 3, 1)
    generator = np.random.default_rng(0)
    episodes = [
        Episode(observations=generator.normal(size=(n + 1, 2)), actions=generator.uniform(-0.4, 0.4, (n, 2)))
        for n in lengths
    ]
    model = point_ppo()
    gail = GAIL(model, Demonstrations.from_episodes(episodes), CONFIG).learn(512)
    assert len(gail.source.demonstrations) == sum(lengths)
    lengths_of_policy = {episode["l"] for episode in model.ep_info_buffer}
    assert len(lengths_of_policy) > 1, "the policy's episodes end early too"


# 10. Old versions pinned.


def test_no_dependency_is_pinned_from_above() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    needed = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    assert len(needed) > 10
    assert [each for each in needed if re.search(r"~=|==|<", each) or ">=" not in each] == []
