"""Behavioral cloning of experts whose policy is known."""

import math
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import BC, BCConfig
from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError
from rlgen.sb3 import normalized_policy

QUICK = BCConfig(max_updates=400, check_every=50, learning_rate=3e-3, average=0.98, plain_below=0.0)
GAIN = np.array([[0.3, -0.1], [0.05, 0.2]], np.float32)


def linear_expert(rows: int = 400, noise: float = 0.0, scale: float = 1.0, seed: int = 0) -> Demonstrations:
    """One episode of action = GAIN · observation (+ noise), with observations of size `scale`."""
    random = np.random.default_rng(seed)
    observations = random.uniform(-1, 1, (rows + 1, 2))
    actions = observations[:-1] @ GAIN.T + noise * random.normal(size=(rows, 2))
    episode = Episode(observations=scale * observations, actions=np.clip(actions, -0.4, 0.4))
    return Demonstrations.from_episodes([episode])


def gap(model: PPO, demonstrations: Demonstrations) -> float:
    """Root mean squared difference of the mean action and the expert's."""
    actions, _ = model.predict(demonstrations.observations, deterministic=True)
    return float(np.sqrt(np.mean((actions - demonstrations.actions) ** 2)))


def test_cloning_finds_a_linear_policy(point_ppo) -> None:
    model = point_ppo(policy_kwargs=normalized_policy([32]))
    before = gap(model, linear_expert(seed=1))
    result = BC(model, linear_expert(), QUICK).learn()
    assert gap(model, linear_expert(seed=1)) < 0.02
    assert before > 0.1
    assert math.sqrt(result.held_out_loss) < 0.05, "in units of half the action range, 0.4"


@pytest.mark.parametrize("scale", [1e-4, 300.0])
def test_observations_of_any_size_are_cloned_alike(point_ppo, scale: float) -> None:
    model = point_ppo(policy_kwargs=normalized_policy([32]))
    BC(model, linear_expert(scale=scale), QUICK).learn()
    assert gap(model, linear_expert(seed=1, scale=scale)) < 0.02


def test_a_short_cloning_does_not_hang_on_to_untrained_weights(point_ppo) -> None:
    losses = [
        BC(
            point_ppo(policy_kwargs=normalized_policy([32])),
            linear_expert(),
            BCConfig(max_updates=300, average=average, learning_rate=3e-3, plain_below=0.0),
        )
        .learn()
        .held_out_loss
        for average in (0.999, 0.0)
    ]
    assert losses[0] < 1.5 * losses[1]


def test_plain_regression_is_kept_where_regularization_multiplies_the_held_out_loss(point_ppo) -> None:
    """Dropout of half of 16 units is far too much to fit a line."""
    model, seen = point_ppo(policy_kwargs=normalized_policy([16])), {}
    kept = BC(model, linear_expert(), replace(QUICK, dropout=0.5, plain_below=0.5)).learn(
        lambda update, values: seen.update({update: values["bc/held_out_loss"]})
    )
    assert (kept.dropout, kept.noise) == (0, 0)
    assert kept.held_out_loss == seen[kept.best_update] < 0.5 * min(seen[update] for update in seen if update <= 400)
    assert kept.best_update > 400, "counted over both"
    assert kept.updates == max(seen) == 800
    assert gap(model, linear_expert(seed=1)) < 0.02


def test_a_few_rows_that_nobody_can_clone_do_not_hide_how_well_plain_regression_does(point_ppo) -> None:
    """Where an expert switches, both clones are wrong, and that alone would make their mean losses alike."""
    expert, random = linear_expert(), np.random.default_rng(1)
    switched = expert.observations[:, 1] > 0.9
    actions = np.where(switched[:, None], random.choice([-0.4, 0.4], size=(len(expert), 1)), expert.actions)
    model, seen = point_ppo(policy_kwargs=normalized_policy([16])), {}
    config = replace(QUICK, dropout=0.3, plain_below=0.5)
    kept = BC(model, replace(expert, actions=actions.astype(np.float32)), config).learn(
        lambda update, values: seen.update({update: values["bc/held_out_loss"]})
    )
    assert (kept.dropout, kept.noise) == (0, 0)
    assert kept.held_out_loss > 0.5 * min(seen[update] for update in seen if update <= 400), "the means alone"


def test_regularization_is_kept_where_plain_regression_is_hardly_better(point_ppo) -> None:
    """A little noise on the observations hardly matters to a line."""
    model, seen = point_ppo(policy_kwargs=normalized_policy([16])), {}
    config = replace(QUICK, dropout=0.0, noise=0.01, plain_below=0.5)
    kept = BC(model, linear_expert(), config).learn(
        lambda update, values: seen.update({update: values["bc/held_out_loss"]})
    )
    assert kept.noise == 0.01
    assert kept.held_out_loss == seen[kept.best_update]
    assert kept.best_update <= 400 < kept.updates == 800


def test_plain_regression_is_not_done_twice(point_ppo) -> None:
    plain = replace(QUICK, dropout=0.0, noise=0.0, plain_below=0.5)
    assert BC(point_ppo(), linear_expert(), plain).learn().updates == 400


def test_noise_on_the_observations_makes_the_policy_smooth(point_ppo) -> None:
    """An expert that turns over at 0: the more noise, the less steep its clone there."""
    random = np.random.default_rng(0)
    observations = random.uniform(-300, 300, (401, 2))
    episode = Episode(observations=observations, actions=0.4 * np.sign(observations[:-1]))
    steepness = []
    for noise in (0.0, 0.3):
        model = point_ppo(policy_kwargs=normalized_policy([64]))
        BC(model, Demonstrations.from_episodes([episode]), replace(QUICK, max_updates=1000, noise=noise)).learn()
        turning = torch.zeros(1, 2, requires_grad=True)
        model.policy.get_distribution(turning).mode().sum().backward()
        steepness.append(float(turning.grad.norm()))
    assert steepness[1] < 0.7 * steepness[0]


def test_noise_is_a_share_of_the_spread_of_each_number(point_ppo) -> None:
    bc = BC(point_ppo(), linear_expert(rows=20_000, scale=300.0), replace(QUICK, noise=0.5))
    noise = bc._noisy(bc.batch, 0.5).observations - bc.batch.observations
    torch.testing.assert_close(noise.std(0), 0.5 * bc.batch.observations.std(0), rtol=0.03, atol=0)
    assert torch.equal(bc._noisy(bc.batch, 0.5).actions, bc.batch.actions)


def test_observations_that_are_kinds_get_no_noise() -> None:
    class Kinds(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(10), gym.spaces.Box(-1, 1, (1,), np.float32)

    kinds = np.arange(201).reshape(-1, 1) % 10
    demonstrations = Demonstrations.from_episodes([Episode(observations=kinds, actions=kinds[:-1] / 10)])
    bc = BC(PPO("MlpPolicy", Kinds(), n_steps=8, batch_size=8, device="cpu"), demonstrations, replace(QUICK, noise=0.5))
    assert torch.equal(bc._noisy(bc.batch, 0.5).observations, bc.batch.observations)


def test_gradient_steps_leave_hidden_units_out_and_looks_at_held_out_rows_do_not(point_ppo, monkeypatch) -> None:
    shares = []
    monkeypatch.setattr("torch.nn.functional.dropout", lambda output, share: shares.append(share) or output)
    model = point_ppo(policy_kwargs=normalized_policy([8, 8]))
    BC(model, linear_expert(rows=40), replace(QUICK, max_updates=20, check_every=10, dropout=0.3)).learn()
    assert shares == 20 * 2 * [0.3], "20 steps, two hidden layers"


def test_the_loss_is_the_squared_error_in_units_of_half_the_range(point_ppo) -> None:
    model, demonstrations = point_ppo(), linear_expert()
    bc = BC(model, demonstrations)
    with torch.no_grad():
        loss = bc._loss(model.policy, bc.batch)
    unclipped = model.policy.get_distribution(bc.batch.observations).distribution.mean.detach().numpy()
    expected = np.mean(((unclipped - demonstrations.actions) / 0.4) ** 2)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_likelihood_also_finds_the_experts_noise(point_ppo) -> None:
    model = point_ppo(policy_kwargs=normalized_policy([32]))
    config = BCConfig(loss="log_likelihood", max_updates=800, check_every=100, learning_rate=1e-2, average=0.98)
    BC(model, linear_expert(rows=2000, noise=0.05), config).learn()
    torch.testing.assert_close(model.policy.log_std.detach().exp(), torch.full((2,), 0.05), rtol=0.2, atol=0)


def test_the_squared_error_leaves_the_noise_alone(point_ppo) -> None:
    model = point_ppo()
    BC(model, linear_expert(), QUICK).learn()
    assert model.policy.log_std.tolist() == [-1, -1]


def test_a_squashed_policy_is_cloned_near_its_bounds_too(point_ppo) -> None:
    model = point_ppo(use_sde=True, policy_kwargs={"squash_output": True, "net_arch": [32]})
    observations = linear_expert().observations
    steady = np.tile(np.array([0.36, -0.36]), (len(observations) - 1, 1))  # of 0.4
    demonstrations = Demonstrations.from_episodes([Episode(observations=observations, actions=steady)])
    BC(model, demonstrations, QUICK).learn()
    assert gap(model, demonstrations) < 0.02


def test_the_critic_is_left_alone(point_ppo) -> None:
    model = point_ppo()
    before = {name: value.clone() for name, value in model.policy.named_parameters() if "value" in name}
    BC(model, linear_expert(), QUICK).learn()
    after = dict(model.policy.named_parameters())
    assert before
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_weights_kept_are_those_of_the_least_held_out_loss(point_ppo) -> None:
    model, seen = point_ppo(), {}
    config = BCConfig(max_updates=2000, check_every=20, patience=5, learning_rate=0.05, average=0.0, plain_below=0.0)
    bc = BC(model, linear_expert(rows=60, noise=0.2), config)
    result = bc.learn(lambda update, values: seen.update({update: values["bc/held_out_loss"]}))
    assert result.held_out_loss == min(seen.values()) == seen[result.best_update]
    assert result.updates == max(seen) == result.best_update + 5 * 20, "stopped when it got no better"


def episodes(count: int, length: int = 10) -> Demonstrations:
    """Episode e observes (e, t) at step t, so that rows tell where they come from."""
    found = []
    for number in range(count):
        observations = np.stack([np.full(length + 1, float(number)), np.arange(length + 1.0)], axis=1)
        found.append(Episode(observations=observations, actions=np.zeros((length, 2))))
    return Demonstrations.from_episodes(found)


def test_whole_episodes_are_held_out(point_ppo) -> None:
    learnt, held_out = BC(point_ppo(), episodes(20))._split()
    seen, unseen = (set(part.observations[:, 0].tolist()) for part in (learnt, held_out))
    assert (len(seen), len(unseen)) == (18, 2)
    assert not seen & unseen
    assert len(learnt) + len(held_out) == 200


@pytest.mark.parametrize("demonstrations", [episodes(1, 200), episodes(20, 50).every(5)], ids=["one", "every fifth"])
def test_rows_of_one_episode_or_of_subsampled_ones_are_held_out_singly(
    demonstrations: Demonstrations, point_ppo
) -> None:
    learnt, held_out = BC(point_ppo(), demonstrations)._split()
    assert (len(learnt), len(held_out)) == (180, 20)
    rows = [tuple(row) for part in (learnt, held_out) for row in part.observations.tolist()]
    assert len(set(rows)) == 200
    assert set(held_out.observations[:, 0].tolist()) & set(learnt.observations[:, 0].tolist())


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_two_episodes_are_one_for_each_part(share: float, point_ppo) -> None:
    learnt, held_out = BC(point_ppo(), episodes(2), BCConfig(held_out=share))._split()
    assert (len(learnt), len(held_out)) == (10, 10)


@pytest.mark.parametrize(("rate", "scale"), [(1e30, 1.0), (1e-3, 3e38)])
def test_numbers_that_are_not_finite_are_refused_and_leave_the_policy_as_it_was(
    rate: float, scale: float, point_ppo
) -> None:
    model = point_ppo(policy_kwargs={"net_arch": [8]})
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    bc = BC(model, linear_expert(), BCConfig(learning_rate=rate, average=0.0))
    bc.batch = replace(bc.batch, actions=bc.batch.actions * scale)
    with pytest.raises(InputError, match="learning rate"):
        bc.learn()
    assert all(torch.equal(value, before[name]) for name, value in model.policy.state_dict().items())


def test_every_look_is_reported(point_ppo) -> None:
    reports = []
    BC(point_ppo(), linear_expert(), BCConfig(max_updates=200, check_every=50, plain_below=0.0)).learn(
        lambda *line: reports.append(line)
    )
    assert [update for update, _ in reports] == [50, 100, 150, 200]
    assert set(reports[0][1]) == {"bc/loss", "bc/held_out_loss"}


def test_the_same_seed_clones_the_same_weights(point_ppo) -> None:
    weights = []
    for seed in (0, 0, 1):
        model = point_ppo(seed=seed)
        BC(model, linear_expert(), QUICK).learn()
        weights.append(model.policy.action_net.weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_cloned_policy_opens_in_plain_sb3(point_ppo, tmp_path: Path) -> None:
    model = point_ppo()
    BC(model, linear_expert(), QUICK).learn()
    model.save(tmp_path / "policy.zip")
    observations = linear_expert(seed=1).observations
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu").predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observations, deterministic=True)[0])


def test_one_transition_is_refused(point_ppo) -> None:
    with pytest.raises(InputError, match="two transitions"):
        BC(point_ppo(), linear_expert(rows=1))


def test_two_transitions_are_enough(point_ppo) -> None:
    assert BC(point_ppo(), linear_expert(rows=2), BCConfig(max_updates=100, plain_below=0.0)).learn().updates == 100


def test_demonstrations_of_another_size_are_refused(point_ppo) -> None:
    three = Demonstrations.from_episodes([Episode(observations=np.zeros((5, 3)), actions=np.zeros((4, 2)))])
    with pytest.raises(InputError, match="'observations'"):
        BC(point_ppo(), three)


@pytest.mark.parametrize(
    "wrong",
    [
        {"held_out": 1.0},
        {"average": 1.0},
        {"noise": -0.1},
        {"dropout": 1.0},
        {"plain_below": 1.5},
        {"patience": 0},
        {"check_every": 200, "max_updates": 100},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        BCConfig(**wrong)


def test_an_error_about_evaluations_names_the_options() -> None:
    with pytest.raises(InputError, match=r"--bc\.check-every 20"):
        BCConfig(max_updates=20)
