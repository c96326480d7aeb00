"""Which models and demonstrations BC and GAIL take: shapes of observations, kinds of action, wrappers."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from rlgen.agents import BC, GAIL, PWIL, SQIL, BCConfig, DAgger, GAILConfig, PWILConfig, SQILConfig
from rlgen.agents.gail import OFF_POLICY, WITHOUT_ACTOR
from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig

FEW = BCConfig(max_updates=200, noise=0.0, dropout=0.0, average=0.0, learning_rate=1e-2)


class World(gym.Env):
    """Shows random numbers for ten steps."""

    def __init__(self, observation: spaces.Space, action: spaces.Space):
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.t += 1
        return self.observation_space.sample(), 0.0, False, self.t >= 10, {}


def model(observation: spaces.Space, action: spaces.Space, policy: str = "MlpPolicy", **options: Any) -> PPO:
    env = DummyVecEnv([lambda: World(observation, action)])
    return PPO(policy, env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu", **options)


def shown(act: Any, size: int) -> Demonstrations:
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-1, 1, (51, size)).astype(np.float32) for _ in range(4)]
    return Demonstrations.from_episodes([Episode(observations=seen, actions=act(seen[:-1])) for seen in parts])


BOX, VECTOR = spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (6,))


@pytest.mark.parametrize("shape", [(2, 3), (1, 6)])
def test_windows_are_cloned_and_imitated(shape: tuple[int, ...]) -> None:
    demonstrations = shown(lambda seen: seen[:, :2], 6)
    learner = model(spaces.Box(-1, 1, shape), BOX)
    GAIL(learner, demonstrations, GAILConfig(bc=FEW)).learn(32)
    seen = demonstrations.observations[:50]
    acted, _ = learner.predict(seen.reshape(-1, *shape), deterministic=True)
    assert np.abs(acted - seen[:, :2]).mean() < 0.2  # doing nothing: 0.5


class Sideways(nn.Module):
    """A features extractor that needs the window's shape."""

    def __init__(self, observation_space: spaces.Box):
        super().__init__()
        self.features_dim = observation_space.shape[0]

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return observations.sum(2)


def test_a_policy_sees_the_windows_it_was_made_for() -> None:
    learner = model(spaces.Box(-1, 1, (2, 3)), BOX, policy_kwargs={"features_extractor_class": Sideways})
    assert np.isfinite(BC(learner, shown(lambda seen: seen[:, :2], 6), FEW).learn().held_out_loss)


@pytest.mark.parametrize("agent", [BC, GAIL])
@pytest.mark.parametrize(
    ("observation", "policy"),
    [
        (spaces.Box(0, 255, (36, 36, 3), np.uint8), "CnnPolicy"),
        (spaces.Dict({"a": spaces.Box(-1, 1, (6,))}), "MultiInputPolicy"),
    ],
)
def test_vectors_for_images_and_dictionaries_are_refused(agent: Any, observation: spaces.Space, policy: str) -> None:
    with pytest.raises(InputError, match=r"observations of the environment, .*; got float32 \[6\] .*; record"):
        agent(model(observation, BOX, policy), shown(lambda seen: seen[:, :2], 6))


@pytest.mark.parametrize("agent", ["bc", "gail"])
@pytest.mark.parametrize(
    ("space", "act"),
    [
        (spaces.Discrete(2), lambda seen: (seen[:, 0] > 0).astype(int)),
        (spaces.MultiDiscrete([2, 3]), lambda seen: np.stack([seen[:, 0] > 0, 2 * (seen[:, 1] > 0)], 1).astype(int)),
        (spaces.MultiDiscrete([2]), lambda seen: (seen[:, 0] > 0).astype(int)),
        (spaces.MultiBinary(3), lambda seen: (seen[:, :3] > 0).astype(int)),
    ],
)
def test_kinds_of_action_are_cloned_and_imitated(space: spaces.Space, act: Any, agent: str) -> None:
    learner, demonstrations = model(VECTOR, space), shown(act, 6)
    if agent == "gail":
        GAIL(learner, demonstrations, GAILConfig(bc=FEW, average=0.0)).learn(32)
    else:
        BC(learner, demonstrations, FEW).learn()
    acted, _ = learner.predict(demonstrations.observations, deterministic=True)
    assert (acted.reshape(len(demonstrations), -1) == demonstrations.actions).mean() > 0.95  # chance: 0.5


def test_cartpole_is_cloned_from_a_few_episodes() -> None:
    env, episodes = gym.make("CartPole-v1"), []
    for seed in range(4):
        seen, actions, done = [env.reset(seed=seed)[0]], [], False
        while not done and len(actions) < 150:
            actions.append(int(seen[-1] @ np.array([0.02, 0.1, 1.0, 0.5]) > 0))
            following, _, fell, cut, _ = env.step(actions[-1])
            seen.append(following)
            done = fell or cut
        episodes.append(Episode(observations=np.array(seen), actions=np.array(actions)))
    learner = PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu")
    BC(learner, Demonstrations.from_episodes(episodes), FEW).learn()
    assert evaluate_policy(learner, learner.get_env(), 3)[0] > 150  # untrained: about 20  # type: ignore[arg-type]


@pytest.mark.parametrize("agent", [BC, GAIL])
def test_kinds_counted_from_elsewhere_than_zero_are_refused(agent: Any) -> None:
    with pytest.raises(InputError, match="counted from 0"):
        agent(model(VECTOR, spaces.Discrete(2, start=1)), shown(lambda seen: (seen[:, 0] > 0) + 1, 6))


@pytest.mark.parametrize("agent", [BC, GAIL])
@pytest.mark.parametrize("given", ["MlpPolicy", None, VECTOR])
def test_what_is_no_model_is_refused(agent: Any, given: Any) -> None:
    with pytest.raises(InputError, match=r"an on-policy SB3 model .*use PPO, A2C or TRPO"):
        agent(given, shown(lambda seen: seen[:, :2], 6))


@pytest.mark.parametrize("agent", [BC, GAIL, lambda learner, given: DAgger(learner, learner, given)])
@pytest.mark.parametrize("given", [FEW, "demos.npz", (np.zeros((3, 4)), np.zeros(3))])
def test_what_is_no_demonstrations_is_refused(agent: Any, given: Any) -> None:
    with pytest.raises(InputError, match=r"expected demonstrations as Demonstrations; got a .*Demonstrations.load"):
        agent(PPO("MlpPolicy", "CartPole-v1", device="cpu"), given)


def test_a_number_of_steps_is_no_report() -> None:
    cloning = BC(model(VECTOR, BOX), shown(lambda seen: seen[:, :2], 6))
    with pytest.raises(InputError, match=r"a function report\(update, values\); got 200; .*max_updates"):
        cloning.learn(200)  # type: ignore[arg-type]


def dqn(**settings: Any) -> DQN:
    env = DummyVecEnv([lambda: World(VECTOR, spaces.Discrete(2))])
    return DQN("MlpPolicy", env, buffer_size=100, seed=0, device="cpu", **settings)


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (lambda model, shown: BC(model, shown), "choose another model"),
        (lambda model, shown: DAgger(model, None, shown), "choose another model"),
        (
            lambda model, shown: GAIL(model, shown, replace(OFF_POLICY, warm_start=True)),
            "choose another model, or leave the warm start out: GAILConfig(warm_start=False), --gail.no-warm-start",
        ),
        (
            lambda model, shown: SQIL(model, shown, SQILConfig(warm_start=True)),
            "choose another model, or leave the warm start out: SQILConfig(warm_start=False), --sqil.no-warm-start",
        ),
        (
            lambda model, shown: PWIL(model, shown, PWILConfig(warm_start=True)),
            "choose another model, or leave the warm start out: PWILConfig(warm_start=False), --pwil.no-warm-start",
        ),
        (lambda model, shown: SQIL(model, shown), "make the model with e.g. gamma=0.99, --learner.gamma 0.99"),
        (
            lambda model, shown: GAIL(
                model, shown, replace(WITHOUT_ACTOR, discriminator=AdversarialConfig(absorbing="on"))
            ),
            "make the model with e.g. gamma=0.99, --learner.gamma 0.99, or "
            'AdversarialConfig(absorbing="off"), --gail.discriminator.absorbing off',
        ),
    ],
)
def test_what_cannot_be_learned_is_refused_with_the_options_of_the_agent(make: Any, own: str) -> None:
    whole = shown(lambda seen: (seen[:, :1] > 0).astype(np.float32), 6)
    with pytest.raises(InputError) as caught:
        make(dqn(gamma=1.0), whole)
    assert str(caught.value).endswith(f"; {own}")
