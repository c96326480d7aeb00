"""Curiosity on off-policy models, and going on with it where it stopped."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger

from rlgen.agents import E3B, RND, VIME, Counts, Curiosity
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.errors import InputError
from rlgen.rewards import InformationGainConfig, RandomNetworkDistillationConfig
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3 import load_model_state, model_state
from rlgen.system.rng import rng_state, set_rng_state

QUICK = InformationGainConfig(updates_per_rollout=5, batch_size=16, hidden=(4,))
QUICK_RND = RandomNetworkDistillationConfig(updates_per_rollout=5, target_hidden=(4,), predictor_hidden=(4,))
TIME_LIMIT = 9
DOCUMENTED = ("return", "reward", "loss", "bonus_10", "bonus_50", "bonus_90")


class Rows(KVWriter):
    """Log lines as dictionaries, without the clock's."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        clocks = ("time/fps", "time/time_elapsed", "time/iterations")
        self.rows.append({k: v for k, v in key_values.items() if k not in clocks} | {"step": step})

    def close(self) -> None: ...


def make(algorithm: type, rows: Rows | None = None, seed: int = 0, n_envs: int = 2) -> BaseAlgorithm:
    env_id = "CartPole-v1" if algorithm is DQN else "Pendulum-v1"
    env = make_vec_env(env_id, n_envs, seed=seed, env_kwargs={"max_episode_steps": TIME_LIMIT})
    settings: dict[str, Any] = {"seed": seed, "device": "cpu", "policy_kwargs": {"net_arch": [4]}}
    if algorithm is PPO:
        settings |= {"n_steps": 10, "batch_size": 20, "n_epochs": 1}
    else:
        settings |= {"learning_starts": 10, "batch_size": 8, "buffer_size": 500}
    model = algorithm("MlpPolicy", env, **settings)
    model.set_logger(Logger(None, [rows or Rows()]))
    return model


def curiosities(tuned: bool = False) -> list[Curiosity[Any]]:
    if tuned:
        return [VIME(QUICK, eta="auto", update_every=18), RND(QUICK_RND, eta="auto", update_every=34)]
    return [VIME(QUICK, eta=0.5, final_eta=0.1, update_every=18), RND(QUICK_RND, eta=0.2, update_every=34)]


@pytest.fixture(autouse=True)
def own_random_numbers() -> Iterator[None]:
    state = rng_state()
    yield
    set_rng_state(state)


class Drawn(BaseCallback):
    """Rewards of minibatches drawn after each rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[np.ndarray] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.rewards.append(self.model.replay_buffer.sample(32).rewards.numpy())


@pytest.mark.parametrize("kind", [kind for kind in CURIOSITIES.values() if not kind.needs_rollouts()])
def test_every_curiosity_pays_an_off_policy_model(kind: type[Curiosity[Any]]) -> None:
    """CartPole pays 1 for every step."""
    drawn, rows = Drawn(), Rows()
    make(DQN, rows).learn(120, [kind(eta=0.5, update_every=20), drawn])
    assert (np.array(drawn.rewards[:2]) == 1).all(), "after 8 and 16 steps nothing is known yet"
    assert np.isfinite(drawn.rewards).all()
    assert (drawn.rewards[-1] > 1).all()
    logged = set(DOCUMENTED) - ({"loss"} if kind is Counts else set())
    assert {f"{kind.name}/{key}" for key in logged} <= set().union(*rows.rows)


def test_a_curiosity_of_whole_rollouts_refuses_an_off_policy_model() -> None:
    with pytest.raises(InputError, match="an on-policy model for E3B"):
        make(DQN).learn(20, E3B())


class SaveAt(BaseCallback):
    """Takes everything at the start of the rollout at `step`, through the form that a checkpoint has."""

    def __init__(self, step: int, curiosities: list[Curiosity[Any]]) -> None:
        super().__init__()
        self.step, self.curiosities = step, curiosities

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == self.step:
            states = [curiosity.state_dict() for curiosity in self.curiosities]
            state = {"model": model_state(self.model), "curiosities": states, "random": rng_state()}
            self.saved = copy.deepcopy(encode(state))
            self.envs = copy.deepcopy(self.model.get_env().envs)


@pytest.mark.parametrize("algorithm", [SAC, PPO])
@pytest.mark.parametrize("tuned", [False, True])
def test_a_curious_model_goes_on_bit_for_bit_with_its_log(algorithm: type, tuned: bool) -> None:
    """Saved with steps in hand that no source has learned from, and in the midst of episodes."""
    half, end = (60, 120)
    whole, rest, first, second = Rows(), Rows(), curiosities(tuned), curiosities(tuned)
    model, save = make(algorithm, whole), SaveAt(half, first)
    model.learn(end, [save, *(each for each in first)], log_interval=1)
    other = make(algorithm, rest, 7)
    state = decode(*save.saved)
    load_model_state(other, state["model"])
    for each, saved in zip(second, state["curiosities"], strict=True):
        each.begin(other)
        each.load_state_dict(saved)
    other.get_env().envs = save.envs
    set_rng_state(state["random"])
    other.learn(end - half, [each for each in second], log_interval=1, reset_num_timesteps=False)
    assert {"vime/return", "rnd/return", "vime/loss", "rnd/reward"} <= set().union(*rest.rows)
    assert rest.rows == whole.rows[-len(rest.rows) :]
    assert (len({row["vime/eta"] for row in rest.rows if "vime/eta" in row}) > 1) == tuned
    for name, value in model.policy.state_dict().items():
        assert torch.equal(other.policy.state_dict()[name], value), name


@pytest.mark.parametrize("kind", CURIOSITIES.values())
def test_a_state_kept_in_memory_stays_as_it_was_taken(kind: type[Curiosity[Any]]) -> None:
    curiosity, model = kind(update_every=20), make(PPO)
    model.learn(20, curiosity)
    kept = {"curiosity": curiosity.state_dict(), "model": model_state(model)}
    json, tensors = copy.deepcopy(encode(kept))
    model.learn(40, curiosity)
    now, later = encode(kept)
    assert now == json
    for name, tensor in tensors.items():
        assert torch.equal(later[name], tensor), name


def test_a_state_from_before_the_beginning_takes_everything_back() -> None:
    vime = VIME(QUICK, update_every=18)
    nothing = vime.state_dict()
    make(SAC).learn(40, vime)
    assert vime.source is not None
    vime.load_state_dict(nothing)
    assert vime.source is None
    assert not vime.steps.steps


def test_a_state_is_refused_as_long_as_the_task_is_not_known() -> None:
    vime = VIME(QUICK)
    vime.begin(make(SAC))
    with pytest.raises(InputError, match="begin"):
        VIME(QUICK).load_state_dict(vime.state_dict())


def test_what_a_curiosity_paid_per_episode_is_apart_from_what_the_task_paid() -> None:
    rows, vime = Rows(), VIME(QUICK, eta=0.5, update_every=18)
    make(SAC, rows).learn(90, vime, log_interval=2)
    last = [row for row in rows.rows if "vime/return" in row][-1]
    assert last["rollout/ep_rew_mean"] < 0 < last["vime/return"]
    assert last["rollout/ep_len_mean"] == TIME_LIMIT
