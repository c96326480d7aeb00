"""GAIL on every kind of observation, action and on-policy model: what reaches the discriminator, and that it learns."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage

from rlgen.agents import GAIL, BCConfig, GAILConfig, InfoGAIL
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import Demonstrations, Transitions
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig
from rlgen.runs import evaluate

from .conftest import Tap
from .tasks import Balancer, Swinger, Walker

DISCRIMINATOR = AdversarialConfig(
    hidden=(32, 32), batch_size=128, updates_per_rollout=16, learning_rate=1e-3, filters=8
)
COLD = GAILConfig(discriminator=DISCRIMINATOR, warm_start=False, average=0.0)
QUICK = BCConfig(
    max_updates=600,
    check_every=50,
    learning_rate=3e-3,
    average=0.95,
    plain_below=0.0,
    noise=0.0,
    dropout=0.0,
    batch_size=128,
)
LEARNER = LearnerConfig(
    hidden=(32,), n_steps=64, batch_size=128, learning_rate=3e-3, schedule="constant", gamma=0.98, gae_lambda=0.95
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def cart(task: str = "CartPole-v1", n_envs: int = 8) -> Any:
    return make_vec(task, n_envs, env_kwargs={"max_episode_steps": 100} if task == "CartPole-v1" else None)


class Noted:
    """The batches that the discriminator of `gail` learns from."""

    def __init__(self, gail: GAIL, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Transitions[Any]] = []
        update = gail.source.update
        monkeypatch.setattr(gail.source, "update", lambda batch: self.batches.append(batch) or update(batch))


@pytest.mark.parametrize("task", ["CartPole-v1", "test/CartWindow-v0"])
def test_cartpole_is_learned_from_episodes_that_the_time_limit_ends(task: str) -> None:
    env = cart(task)
    model = make_model(LEARNER, env, 0)
    gail = GAIL(model, Demonstrations.record(Balancer(), env, 4), COLD)
    assert gail.source.absorbing is None
    gail.learn(3072)
    assert evaluate(model, cart(task), 8, seed=99, label=None).returns.mean() > 80  # untrained: about 10


class Leftward:
    """Falls within a few steps."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return np.zeros(len(observation), int), None


def test_cartpole_falls_as_shown_by_episodes_that_the_task_ends() -> None:
    env = cart()
    model = make_model(LEARNER, env, 0)
    few = replace(QUICK, max_updates=100)
    gail = GAIL(model, Demonstrations.record(Leftward(), env, 8), replace(COLD, warm_start=True, bc=few))
    assert gail.source.absorbing is not None
    gail.learn(2048)
    seen = torch.as_tensor(env.reset())
    assert model.policy.get_distribution(seen).distribution.probs[:, 0].min() > 0.9  # untrained: 0.5


GRID = replace(LEARNER, learning_rate=1e-3, gamma=0.95, gae_lambda=0.9)


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary"])
def test_a_grid_is_walked_as_shown_without_cloning(kind: str) -> None:
    env = make_vec(f"test/{kind}-v0", 8)
    model = make_model(GRID, env, 0)
    GAIL(model, Demonstrations.record(Walker(), env, 40), COLD).learn(6144)
    found = evaluate(model, make_vec(f"test/{kind}-v0", 8), 16, seed=99, label=None)
    assert found.terminated.mean() > 0.9  # untrained: no episode ends at the goal


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary"])
def test_images_reach_the_discriminator_as_the_environment_shows_them(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = Tap(VecTransposeImage(make_vec(f"test/{kind}-v0", 2)))
    tap.traffic.following = traffic = []  # dictionaries are noted below
    monkeypatch.setattr(Tap, "step_wait", lambda self: noted(self, traffic))
    model = make_model(replace(GRID, n_steps=30, batch_size=30, n_epochs=1), tap, 0)
    shown = Demonstrations.record(Walker(), make_vec(f"test/{kind}-v0", 2), 4)
    gail = GAIL(model, shown, replace(COLD, discriminator=replace(DISCRIMINATOR, inputs="state_transition")))
    seen = Noted(gail, monkeypatch)
    gail.learn(60)
    batch = seen.batches[0]
    assert batch.truncated.any()  # the time limit of 20 steps
    following = batch.next_observations if kind == "GridDictionary" else {"": batch.next_observations}
    for name, rows in following.items():
        expected = np.concatenate([step[name] for step in traffic])
        assert rows[:].numpy().dtype == (np.int64 if name == "direction" else np.uint8)
        assert np.array_equal(rows[:].reshape(expected.shape), expected)


def noted(tap: Tap, traffic: list[dict[str, np.ndarray]]) -> Any:
    """A step whose true next observations are appended to `traffic`, by entry."""
    observations, rewards, dones, infos = tap.venv.step_wait()
    entries = observations if isinstance(observations, dict) else {"": observations}
    following = {name: np.array(rows) for name, rows in entries.items()}
    for env in np.flatnonzero(dones):
        last = infos[env]["terminal_observation"]
        for name, row in (last if isinstance(last, dict) else {"": last}).items():
            following[name][env] = row
    traffic.append(following)
    return observations, rewards, dones, infos


def test_a_pendulum_is_swung_up_under_vec_normalize_as_shown() -> None:
    env = make_vec("Pendulum-v1", 4)
    shown = Demonstrations.record(Swinger(), env, 16)
    env = VecNormalize(env)
    learner = replace(LEARNER, hidden=(64, 64), learning_rate=3e-5, normalize=False)
    model = make_model(learner, env, 0)
    GAIL(model, shown, replace(COLD, warm_start=True, bc=QUICK)).learn(1024)
    env.training = env.norm_reward = False
    assert evaluate(model, env, 4, seed=99, label=None).returns.mean() > -400  # hanging: -1200, the expert: -125


def masked() -> Any:
    """CartPole with action masks, which allow everything."""
    from sb3_contrib.common.wrappers import ActionMasker

    return DummyVecEnv([lambda: ActionMasker(gym.make("CartPole-v1"), lambda env: np.ones(2, bool))] * 4)


@pytest.mark.parametrize("kind", ["RecurrentPPO", "MaskablePPO"])
def test_models_of_sb3_contrib_imitate(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = cart(n_envs=4) if kind == "RecurrentPPO" else masked()
    policy = "MlpLstmPolicy" if kind == "RecurrentPPO" else "MlpPolicy"
    options = {"policy_kwargs": {"lstm_hidden_size": 16}} if kind == "RecurrentPPO" else {}
    model = getattr(contrib, kind)(policy, env, n_steps=32, batch_size=64, gamma=0.9, seed=0, device="cpu", **options)
    few = BCConfig(max_updates=20, check_every=10, plain_below=0.0)
    shown = Demonstrations.record(Balancer(), env, 4)
    gail = GAIL(model, shown, replace(COLD, scale_reward=False, warm_start=True, bc=few))
    seen = Noted(gail, monkeypatch)
    gail.learn(128)
    assert len(seen.batches) == 1
    paid = gail.source.reward(seen.batches[0])
    assert paid.isfinite().all()


def test_a_warm_start_of_a_recurrent_policy_asks_for_whole_episodes_at_once() -> None:
    contrib, env = pytest.importorskip("sb3_contrib"), cart(n_envs=2)
    model = contrib.RecurrentPPO("MlpLstmPolicy", env, n_steps=8, device="cpu")
    shown = Demonstrations.record(Balancer(), env, 2)
    with pytest.raises(InputError, match="whole episodes for a recurrent policy"):
        GAIL(model, shown.every(2))
    GAIL(model, shown.every(2), COLD)


def test_infogail_still_asks_for_vectors_and_a_policy_without_memory() -> None:
    env = make_vec("test/GridImage-v0", 2)
    shown = Demonstrations.record(Walker(), env, 2)
    with pytest.raises(InputError, match="vectors, for InfoGAIL"):
        InfoGAIL(make_model(GRID, env, 0), shown)
    with pytest.raises(InputError, match="VecNormalize"):
        InfoGAIL(
            make_model(LEARNER, VecNormalize(cart(n_envs=2)), 0), Demonstrations.record(Balancer(), cart(n_envs=2), 2)
        )
