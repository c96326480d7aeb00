"""Relabeling a rollout, in environments whose episodes end where a script says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from rlgen.data import Transitions
from rlgen.rewards import ReturnNormalizer
from rlgen.sb3 import Relabel
from rlgen.sb3.relabel import WeightedReward
from rlgen.sb3.rollout import BufferRollout, received_actions

STEPS, ENVS, GAMMA, LAMBDA = 6, 2, 0.9, 0.8
TASK_REWARD = 100.0  # which must not reach the learner
FELL, TIME_LIMIT, BOTH = "fell", "time limit", "both"
ENDS = {(1, 0): FELL, (3, 0): TIME_LIMIT, (2, 1): BOTH, (5, 1): TIME_LIMIT}


class Scripted(VecEnv):
    """Two environments with observations from a table; what they receive goes into `received`."""

    def __init__(self, ends: dict[tuple[int, int], str], action_space: spaces.Space, dtype: type = np.float32) -> None:
        random = np.random.default_rng(0)
        self.table = random.normal(size=(100, ENVS, 3)).astype(dtype)
        self.last = random.normal(size=(100, ENVS, 3)).astype(dtype)
        self.ends, self.received, self.time = ends, [], 0
        super().__init__(ENVS, spaces.Box(-np.inf, np.inf, (3,), dtype), action_space)

    def reset(self) -> np.ndarray:
        return self.table[0]

    def step_async(self, actions: np.ndarray) -> None:
        self.received.append(np.array(actions))

    def step_wait(self) -> Any:
        infos: list[dict[str, Any]] = [{} for _ in range(ENVS)]
        for env in range(ENVS):
            if how := self.ends.get((self.time, env)):
                infos[env] = {
                    "terminal_observation": self.last[self.time, env],
                    "TimeLimit.truncated": how == TIME_LIMIT,
                }
        dones = np.array([bool(info) for info in infos])
        self.time += 1
        return self.table[self.time], np.full(ENVS, TASK_REWARD, np.float32), dones, infos

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * ENVS

    def set_attr(self, *args: Any, **kwargs: Any) -> None: ...

    def env_method(self, *args: Any, **kwargs: Any) -> list[Any]:
        return [None] * ENVS

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [True] * ENVS


class Source:
    """Pays `rule(batch)`; notes the calls."""

    def __init__(self, rule: Callable[[Transitions], Tensor]) -> None:
        self.rule, self.calls = rule, []

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        self.calls.append(("update", batch))
        return {"seen": torch.tensor(float(len(batch)))}

    def reward(self, batch: Transitions) -> Tensor:
        self.calls.append(("reward", batch))
        return self.rule(batch)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def by_observation(batch: Transitions) -> Tensor:
    return batch.observations.sum(-1)


class Snapshot(BaseCallback):
    """The buffer when relabeling is over, and V of every true next observation by the same weights."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        for name in ("rewards", "values", "advantages", "returns"):
            setattr(self, name, np.array(getattr(buffer, name)))
        self.buffer_actions = np.array(buffer.actions)
        env = self.model.get_env()
        self.next_observations = env.table[1 : STEPS + 1].copy()
        for time, which in ENDS:
            self.next_observations[time, which] = env.last[time, which]
        with torch.no_grad():
            flat = torch.as_tensor(self.next_observations).flatten(0, 1)
            self.next_values = self.model.policy.predict_values(flat).reshape(STEPS, ENVS).numpy()
        self.logged = dict(self.logger.name_to_value)


def make_model(algorithm: type = PPO, action_space: spaces.Space | None = None, dtype: type = np.float32, **more: Any):
    box = spaces.Box(-0.4, 0.4, (2,), np.float32)
    env = Scripted(ENDS, action_space or box, dtype)
    settings = {"n_steps": STEPS, "gamma": GAMMA, "gae_lambda": LAMBDA, "seed": 0, "device": "cpu"} | more
    if algorithm is PPO:
        settings |= {"batch_size": STEPS * ENVS, "n_epochs": 1}
    return algorithm("MlpPolicy", env, **settings)


def roll(model: Any, *sources: WeightedReward, scale: ReturnNormalizer | None = None, adds: bool = False) -> Snapshot:
    """One relabeled rollout."""
    snapshot = Snapshot()
    named = {f"source{i}": paid for i, paid in enumerate(sources)}
    model.learn(STEPS * ENVS, CallbackList([Relabel(named, scale, adds=adds), snapshot]))
    return snapshot


def flags(*hows: str) -> np.ndarray:
    """[T, N] bool: where episodes end in one of these ways."""
    found = np.zeros((STEPS, ENVS), bool)
    for place, how in ENDS.items():
        found[place] = how in hows
    return found


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_advantages_are_generalized_advantages_written_out_by_hand(algorithm: type) -> None:
    seen = roll(make_model(algorithm), WeightedReward(Source(by_observation)))
    paid = seen_rewards = make_model().get_env().table[:STEPS].sum(-1)
    terminated, ended = flags(FELL, BOTH), flags(FELL, BOTH, TIME_LIMIT)
    delta = paid + GAMMA * seen.next_values * ~terminated - seen.values
    advantage, expected = np.zeros(ENVS), np.zeros((STEPS, ENVS))
    for time in reversed(range(STEPS)):
        advantage = delta[time] + GAMMA * LAMBDA * ~ended[time] * advantage
        expected[time] = advantage
    np.testing.assert_allclose(seen.advantages, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.returns, expected + seen.values, rtol=1e-5, atol=1e-6)
    assert seen_rewards.max() < TASK_REWARD / 2, "the task's reward would show"


def test_a_time_limit_adds_the_bootstrap_once_and_a_fall_nothing() -> None:
    seen = roll(make_model(), WeightedReward(Source(by_observation)))
    added = seen.rewards - make_model().get_env().table[:STEPS].sum(-1)
    expected = np.where(flags(TIME_LIMIT), GAMMA * seen.next_values, 0)
    np.testing.assert_allclose(added, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).max() > 0.01


def test_rewards_of_several_sources_add_up_by_their_weights() -> None:
    one, two = Source(by_observation), Source(lambda batch: torch.ones(len(batch)))
    seen = roll(make_model(), WeightedReward(one, weight=0.5), WeightedReward(two, weight=-3.0))
    expected = 0.5 * make_model().get_env().table[:STEPS].sum(-1) - 3
    no_limit = ~flags(TIME_LIMIT)
    np.testing.assert_allclose(seen.rewards[no_limit], expected[no_limit], rtol=1e-5, atol=1e-6)


def test_sources_may_add_to_the_tasks_own_reward_whose_bootstrap_is_added_once() -> None:
    seen = roll(make_model(), WeightedReward(Source(by_observation), weight=100.0), adds=True)
    expected = 100 * make_model().get_env().table[:STEPS].sum(-1) + TASK_REWARD
    expected = expected + np.where(flags(TIME_LIMIT), GAMMA * seen.next_values, 0)
    np.testing.assert_allclose(seen.rewards, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_list_of_callbacks_adds_up_in_every_rollout(replaced: bool) -> None:
    """As GAIL in front of curiosity, and two curiosities."""
    snapshot, model = Snapshot(), make_model()
    first = Relabel({"one": WeightedReward(Source(by_observation), 100.0)}, adds=not replaced)
    second = Relabel({"two": WeightedReward(Source(lambda batch: torch.ones(len(batch))), 7.0)}, adds=True)
    for rollout in range(2):
        model.learn(STEPS * ENVS, CallbackList([first, second, snapshot]), reset_num_timesteps=False)
        table = model.get_env().table[rollout * STEPS : (rollout + 1) * STEPS]
        expected = 100 * table.sum(-1) + (0 if replaced else TASK_REWARD) + 7
        no_limit = ~flags(TIME_LIMIT) if rollout == 0 else np.ones((STEPS, ENVS), bool)
        np.testing.assert_allclose(snapshot.rewards[no_limit], expected[no_limit], rtol=1e-5, atol=1e-5)


def test_a_weight_may_fall_with_the_training_that_is_left() -> None:
    snapshots = []

    class Note(Snapshot):
        def _on_rollout_end(self) -> None:
            snapshots.append(self.model.rollout_buffer.rewards.copy())

    paid = WeightedReward(Source(lambda batch: torch.ones(len(batch))), LinearSchedule(8.0, 4.0, 1.0))
    model = make_model()
    model.env.ends = {}
    model.learn(4 * STEPS * ENVS, CallbackList([Relabel({"only": paid}), Note()]))
    np.testing.assert_allclose([rewards.mean() for rewards in snapshots], [8, 7, 6, 5])


def test_a_falling_weight_begins_anew_with_every_training_and_goes_on_where_steps_are_counted_on() -> None:
    weights: list[float] = []

    def weight(remaining: float) -> float:
        weights.append(remaining)
        return remaining

    model, relabel = make_model(), Relabel({"only": WeightedReward(Source(by_observation), weight)})
    for _ in range(2):
        model.learn(4 * STEPS * ENVS, relabel)
    model.learn(4 * STEPS * ENVS, relabel, reset_num_timesteps=False)
    assert weights == [1, 0.75, 0.5, 0.25] * 2 + [0.5, 0.375, 0.25, 0.125]


def test_without_sources_no_transitions_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(BufferRollout, "transitions")
    seen = roll(make_model(), adds=True)
    expected = TASK_REWARD + np.where(flags(TIME_LIMIT), GAMMA * seen.next_values, 0)
    np.testing.assert_allclose(seen.rewards, expected, rtol=1e-5)


def test_a_source_learns_from_the_whole_rollout_before_it_pays_for_the_same() -> None:
    source = Source(by_observation)
    seen = roll(make_model(), WeightedReward(source))
    assert [name for name, _ in source.calls] == ["update", "reward"]
    assert source.calls[0][1] is source.calls[1][1]
    assert len(source.calls[0][1]) == STEPS * ENVS
    assert seen.logged["source0/seen"] == STEPS * ENVS
    assert seen.logged["source0/reward"] == pytest.approx(float(by_observation(source.calls[0][1]).mean()))


def test_transitions_are_time_major_with_true_last_observations_and_both_flags() -> None:
    source = Source(by_observation)
    model = make_model()
    seen = roll(model, WeightedReward(source))
    batch: Transitions = source.calls[0][1]
    np.testing.assert_array_equal(batch.observations, model.get_env().table[:STEPS].reshape(-1, 3))
    np.testing.assert_array_equal(batch.next_observations, seen.next_observations.reshape(-1, 3))
    np.testing.assert_array_equal(batch.terminated, flags(FELL, BOTH).reshape(-1))
    np.testing.assert_array_equal(batch.truncated, flags(TIME_LIMIT).reshape(-1))


def test_actions_are_those_that_the_environment_received() -> None:
    source, model = Source(by_observation), make_model(policy_kwargs={"log_std_init": 0.0})
    seen = roll(model, WeightedReward(source))
    assert (np.abs(seen.buffer_actions) > 0.4).any()
    np.testing.assert_array_equal(source.calls[0][1].actions, np.concatenate(model.get_env().received))


def test_squashed_actions_are_unscaled() -> None:
    source = Source(by_observation)
    model = make_model(use_sde=True, policy_kwargs={"squash_output": True})
    seen = roll(model, WeightedReward(source))
    np.testing.assert_allclose(source.calls[0][1].actions, np.concatenate(model.get_env().received), rtol=1e-6)
    np.testing.assert_allclose(seen.buffer_actions.reshape(-1, 2) * 0.4, source.calls[0][1].actions, rtol=1e-5)


def test_discrete_actions_pass_as_they_are() -> None:
    source = Source(by_observation)
    model = make_model(action_space=spaces.Discrete(3))
    roll(model, WeightedReward(source))
    received = np.concatenate(model.get_env().received)
    np.testing.assert_array_equal(source.calls[0][1].actions.squeeze(-1), received)
    given = np.array([[[2]]])
    assert received_actions(given, model) is given


def test_observations_in_float64_reach_the_sources_as_float32() -> None:
    source = Source(by_observation)
    roll(make_model(dtype=np.float64), WeightedReward(source))
    batch = source.calls[0][1]
    assert {batch.observations.dtype, batch.next_observations.dtype, batch.actions.dtype} == {torch.float32}


def test_a_scale_divides_what_is_paid_but_not_the_bootstrap() -> None:
    scale = ReturnNormalizer(GAMMA, ENVS)
    seen = roll(make_model(), WeightedReward(Source(by_observation)), scale=scale)
    paid = make_model().get_env().table[:STEPS].sum(-1)
    running, returns = np.zeros(ENVS), []
    for time in range(STEPS):
        running = GAMMA * running + paid[time]
        returns.append(running)
        running = running * ~flags(FELL, BOTH, TIME_LIMIT)[time]
    assert float(scale.return_std.count) == STEPS * ENVS, "the scale has learnt"
    expected = paid / np.std(returns) + np.where(flags(TIME_LIMIT), GAMMA * seen.next_values, 0)
    np.testing.assert_allclose(seen.rewards, expected, rtol=1e-5, atol=1e-6)


def test_a_second_rollout_forgets_the_ends_of_the_first() -> None:
    source, model = Source(by_observation), make_model()
    model.learn(2 * STEPS * ENVS, Relabel({"only": WeightedReward(source)}))
    second: Transitions = source.calls[2][1]
    assert not (second.terminated | second.truncated).any()
    np.testing.assert_array_equal(second.observations, model.get_env().table[STEPS : 2 * STEPS].reshape(-1, 3))
