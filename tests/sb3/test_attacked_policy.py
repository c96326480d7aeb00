"""Attacks on a policy's observations: the worst case of a linear policy, discrete actions, units, and refusals."""

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC, TD3

from rlgen.errors import InputError
from rlgen.sb3 import LoadedPolicy, normalized_policy
from rlgen.sb3.attacked_policy import AttackedPolicy, action_loss, own_observation_std, visited_observation_std
from rlgen.sb3.features import fit_normalizer
from rlgen.sb3.observation_normalization import FrozenNormalizer

BOX = spaces.Box(-np.inf, np.inf, (3,))
STD = torch.tensor([1.0, 2.0, 0.5])
EPSILON = 0.1
OBSERVATIONS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


class Still(gym.Env):
    def __init__(self, action_space: spaces.Space, observation_space: spaces.Space = BOX):
        self.action_space, self.observation_space = action_space, observation_space


def loaded(algorithm: Any, action_space: spaces.Space, observed: spaces.Space = BOX, **options: Any) -> LoadedPolicy:
    model = algorithm(
        options.pop("policy", "MlpPolicy"), Still(action_space, observed), seed=0, device="cpu", **options
    )
    names = ("quantile_net", "q_net", "actor")  # the parts that act, as `load_policy` rebuilds them
    policy = next((getattr(model, name) for name in names if getattr(model, name, None) is not None), model.policy)
    policy.set_training_mode(False)
    return LoadedPolicy(policy, [])


def linear_policy(bounds: float = 10.0, **options: Any) -> LoadedPolicy:
    """A policy of one action whose mean is linear in the observation."""
    found = loaded(PPO, spaces.Box(-bounds, bounds, (1,)), policy_kwargs={"net_arch": []}, **options)
    with torch.no_grad():
        found.policy.action_net.weight.copy_(torch.tensor([[0.4, -0.3, 1.0]]))
    return found


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_the_mean_action_of_a_linear_policy_moves_by_its_weights_in_the_ball(name: str) -> None:
    policy = linear_policy()
    attacked = AttackedPolicy(policy, name, EPSILON, STD)
    moved, _ = attacked.predict(OBSERVATIONS, deterministic=True)
    true, _ = policy.predict(OBSERVATIONS, deterministic=True)
    worst = EPSILON * (0.4 * 1 + 0.3 * 2 + 1.0 * 0.5)
    np.testing.assert_allclose(np.abs(moved - true), worst, rtol=1e-4)


def test_no_point_of_a_grid_moves_two_actions_further() -> None:
    policy = loaded(PPO, spaces.Box(-10, 10, (2,)), policy_kwargs={"net_arch": []})
    attacked = AttackedPolicy(policy, "pgd", EPSILON, STD, steps=20)
    for observation in torch.as_tensor(OBSERVATIONS[:5]):
        loss = action_loss(policy.policy, observation[None])
        corners = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3) * EPSILON * STD
        worst = loss(observation + corners).max()
        found = max(loss(attacked.attack(loss, observation[None])) for _ in range(4))
        torch.testing.assert_close(found.squeeze(), worst, rtol=1e-4, atol=1e-7)


def test_a_radius_of_zero_leaves_the_actions_as_they_are() -> None:
    policy = linear_policy()
    moved, _ = AttackedPolicy(policy, "pgd", 0.0, STD).predict(OBSERVATIONS, deterministic=True)
    np.testing.assert_array_equal(moved, policy.predict(OBSERVATIONS, deterministic=True)[0])


def test_numbers_without_standard_deviation_are_not_attacked() -> None:
    policy = linear_policy()
    moved, _ = AttackedPolicy(policy, "fgsm", EPSILON, STD * torch.tensor([1.0, 1.0, 0.0])).predict(
        OBSERVATIONS, deterministic=True
    )
    true, _ = policy.predict(OBSERVATIONS, deterministic=True)
    np.testing.assert_allclose(np.abs(moved - true), 0.1 * (0.4 + 0.6), rtol=1e-4)


def test_statistics_outside_of_the_network_give_the_same_attack_as_in_raw_numbers() -> None:
    """The normalized policy is linear with weights w / std, so the same radius in raw numbers moves it by ε |w|₁."""
    policy = linear_policy()
    outer = FrozenNormalizer(mean=np.ones(3), std=np.asarray(STD, np.float64), clip=100.0)
    normalizing = LoadedPolicy(policy.policy, [outer])
    std = own_observation_std(normalizing)
    torch.testing.assert_close(std, STD)
    moved, _ = AttackedPolicy(normalizing, "pgd", EPSILON, std).predict(OBSERVATIONS, deterministic=True)
    true, _ = normalizing.predict(OBSERVATIONS, deterministic=True)
    np.testing.assert_allclose(np.abs(moved - true), EPSILON * 1.7, rtol=1e-4)


def test_the_unit_is_that_of_the_policys_own_normalizer() -> None:
    policy = loaded(PPO, spaces.Box(-1, 1, (1,)), policy_kwargs=normalized_policy([4]))
    fit_normalizer(policy.policy, torch.randn(5_000, 3, generator=torch.Generator().manual_seed(0)) * STD)
    torch.testing.assert_close(own_observation_std(policy), STD, rtol=0.1, atol=0)
    assert own_observation_std(linear_policy()) is None


@pytest.mark.parametrize("name", ["PPO", "DQN", "QRDQN"])
def test_the_most_probable_action_becomes_less_probable_than_by_a_random_change(name: str) -> None:
    algorithm = {"PPO": PPO, "DQN": DQN}.get(name) or pytest.importorskip("sb3_contrib").QRDQN
    policy = loaded(algorithm, spaces.Discrete(3))
    seen = torch.as_tensor(OBSERVATIONS)
    loss = action_loss(policy.policy, seen)
    attacked = AttackedPolicy(policy, "fgsm", EPSILON, STD).attack(loss, seen)
    random = seen + EPSILON * STD * torch.randn_like(seen).sign()
    with torch.no_grad():
        assert loss(attacked).mean() > loss(random).mean()
        assert loss(attacked).mean() > loss(seen).mean()
    actions, _ = AttackedPolicy(policy, "fgsm", 5.0, STD).predict(OBSERVATIONS, deterministic=True)
    assert (actions != policy.predict(OBSERVATIONS, deterministic=True)[0]).any()


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_actors_of_off_policy_models_are_attacked(algorithm: Any) -> None:
    policy = loaded(algorithm, spaces.Box(-1, 1, (2,)), buffer_size=10)
    moved, _ = AttackedPolicy(policy, "pgd", 1.0, STD).predict(OBSERVATIONS, deterministic=True)
    rows = OBSERVATIONS + np.asarray(STD) * np.random.default_rng(1).choice([-1, 1], size=(40, 3))
    true, random = (policy.predict(each.astype(np.float32), deterministic=True)[0] for each in (OBSERVATIONS, rows))
    assert np.square(moved - true).sum() > np.square(random - true).sum()


def test_arrays_that_are_read_only_are_attacked_and_stay_as_they_are() -> None:
    frozen = OBSERVATIONS.copy()
    frozen.setflags(write=False)
    attacked = AttackedPolicy(linear_policy(), "fgsm", EPSILON, STD)
    assert np.isfinite(attacked.predict(frozen, deterministic=True)[0]).all()
    np.testing.assert_array_equal(frozen, OBSERVATIONS)


def test_parameters_have_no_gradient_after_an_attack() -> None:
    policy = linear_policy()
    AttackedPolicy(policy, "pgd", EPSILON, STD).predict(OBSERVATIONS)
    assert all(parameter.grad is None for parameter in policy.policy.parameters())


def test_standard_deviations_are_those_of_visited_observations() -> None:
    class Walk:
        """Observations of N(0, std²)."""

        num_envs = 5
        random = np.random.default_rng(0)

        def reset(self) -> np.ndarray:
            return self.random.normal(size=(5, 3)) * np.asarray(STD)

        def step(self, actions: np.ndarray) -> Any:
            return self.reset(), np.zeros(5), np.zeros(5, bool), [{}] * 5

    still = SimpleNamespace(predict=lambda observation, deterministic: (np.zeros((5, 1)), None))
    torch.testing.assert_close(visited_observation_std(still, Walk(), 5_000), STD, rtol=0.1, atol=0)


@pytest.mark.parametrize(
    ("observed", "policy"),
    [
        (spaces.Box(0, 255, (36, 36, 3), np.uint8), "CnnPolicy"),
        (spaces.Dict({"a": BOX}), "MultiInputPolicy"),
        (spaces.Discrete(4), "MlpPolicy"),
    ],
)
def test_other_observations_are_refused(observed: spaces.Space, policy: str) -> None:
    with pytest.raises(InputError, match="observations of floats"):
        AttackedPolicy(loaded(PPO, spaces.Discrete(2), observed, policy=policy), "fgsm", EPSILON, STD)


def test_a_recurrent_policy_is_refused() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.RecurrentPPO("MlpLstmPolicy", Still(spaces.Discrete(2)), seed=0, device="cpu")
    with pytest.raises(InputError, match="without memory"):
        AttackedPolicy(LoadedPolicy(model.policy, []), "fgsm", EPSILON, STD)
