"""Fresh rewards for what an off-policy model draws, in environments that note what they were asked and answered."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, CrossQ
from stable_baselines3 import DDPG, DQN, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import Tensor

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.sb3 import RelabelReplay, WeightedReward
from rlgen.sb3.relabel_replay import plain_replay_buffer, restore_replay_buffer
from rlgen.sb3.steps import NewSteps

ENVS, GAMMA = 2, 0.9
LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([1.0, 4.0], np.float32)
ACTORS, CHOOSERS = [SAC, TD3, DDPG, TQC, CrossQ], [DQN, QRDQN]


class Noted(gym.Env):
    """Observations at random, rewards 0, 1, 2 … by the step, falls and time limits by the step; all of it noted."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self, seed: int, discrete: bool = False):
        self.random, self.discrete = np.random.default_rng(seed), discrete
        self.action_space = spaces.Discrete(3) if discrete else spaces.Box(LOW, HIGH)
        self.steps: list[tuple] = []
        self.fails_at = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        self.present = self.random.normal(size=3, loc=5).astype(np.float32)
        return self.present, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        time = len(self.steps)
        if time == self.fails_at:
            raise RuntimeError("the simulator broke")
        following = self.random.normal(size=3, loc=5).astype(np.float32)
        fell, limit = time % 7 == 6, time % 5 == 4
        self.steps.append((self.present, np.array(action, np.float32).reshape(-1), following, fell, limit and not fell))
        self.present = following
        return following, float(time), fell, limit, {}


class Source:
    """Pays `rule(batch)`; keeps what it learned from and what it paid for."""

    def __init__(self, rule: Callable[[Transitions], Tensor] | None = None):
        self.rule = rule or by_all
        self.learned: list[Transitions] = []
        self.asked: list[Transitions] = []

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        self.learned.append(batch)
        return {"seen": torch.tensor(float(len(batch)))}

    def reward(self, batch: Transitions) -> Tensor:
        self.asked.append(batch)
        return self.rule(batch)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def by_all(batch: Transitions) -> Tensor:
    """Something that a wrong observation, action or next observation would change."""
    return batch.observations[:, 0] + 10 * batch.actions.sum(-1) + 100 * batch.next_observations[:, 1]


def one(batch: Transitions) -> Tensor:
    return torch.ones(len(batch))


class Draws(BaseCallback):
    """What the model draws between two rollouts: called at the end of a rollout, so it must stand behind the
    reward_sources."""

    def __init__(self, rows: int = 40):
        super().__init__()
        self.rows, self.samples = rows, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.samples.append(self.model.replay_buffer.sample(self.rows, env=self.model._vec_normalize_env))


def make(algorithm: type = SAC, n_envs: int = ENVS, normalized: bool = False, **more: Any) -> BaseAlgorithm:
    discrete = algorithm in CHOOSERS
    env: Any = DummyVecEnv([lambda seed=seed: Noted(seed, discrete) for seed in range(n_envs)])
    env = VecNormalize(env, gamma=GAMMA) if normalized else env
    settings = {"learning_starts": 6, "batch_size": 8, "buffer_size": 200, "gamma": GAMMA, "seed": 0, "device": "cpu"}
    return algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, **(settings | more))


def pay(*paid: WeightedReward, every: int = 10) -> list[RelabelReplay]:
    """One callback for each source."""
    return [RelabelReplay({f"source{i}": each}, NewSteps(every)) for i, each in enumerate(paid)]


def steps_of(model: BaseAlgorithm, time: int) -> list[tuple]:
    """What the environments noted at one time."""
    return [env.steps[time] for env in model.get_env().unwrapped.envs]


def noted(model: BaseAlgorithm) -> list[np.ndarray]:
    """All of it, time-major: five arrays [T * N, …]."""
    times = len(model.get_env().unwrapped.envs[0].steps)
    rows = [row for time in range(times) for row in steps_of(model, time)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def same(batch: Transitions, columns: list[np.ndarray], rows: slice, rtol: float = 1e-6) -> None:
    for found, expected in zip(batch.tensors(), columns, strict=True):
        np.testing.assert_allclose(found.numpy(), expected[rows], rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("algorithm", [*ACTORS, *CHOOSERS])
def test_any_off_policy_model_draws_the_tasks_reward_and_the_bonus(algorithm: type) -> None:
    model, draws = make(algorithm, train_freq=4), Draws()
    model.learn(40, [*pay(WeightedReward(Source(), 0.5)), draws])
    *_, sample = draws.samples
    actions = sample.actions
    if algorithm in ACTORS:
        actions = torch.as_tensor(LOW + (sample.actions.numpy() + 1) / 2 * (HIGH - LOW))
    none = torch.zeros(len(actions), dtype=torch.bool)
    bonus = by_all(Transitions(sample.observations, actions, sample.next_observations, none, none))
    task = sample.rewards.flatten() - 0.5 * bonus
    np.testing.assert_allclose(task, task.round(), atol=1e-3, err_msg="the task pays whole numbers")
    assert 0 <= task.min() < task.max() < 20
    assert bonus.abs().min() > 1


@pytest.mark.parametrize("algorithm", [*ACTORS, *CHOOSERS])
def test_a_bonus_of_zero_leaves_every_update_as_it_is(algorithm: type) -> None:
    alone = make(algorithm).learn(40)
    paid = make(algorithm).learn(40, pay(WeightedReward(Source(lambda batch: torch.zeros(len(batch))))))
    for name, value in alone.policy.state_dict().items():
        assert torch.equal(paid.policy.state_dict()[name], value), name


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("algorithm", [SAC, DQN])
def test_sources_learn_from_each_new_step_once_as_the_environments_saw_it(algorithm: type, n_envs: int) -> None:
    """The buffer has room for 8 steps of each environment and turns around many times."""
    source, model = Source(), make(algorithm, n_envs, buffer_size=8 * n_envs, train_freq=3)
    model.learn(45 * n_envs, pay(WeightedReward(source), every=10))
    columns = noted(model)
    assert [len(batch) for batch in source.learned] == [10] * (45 * n_envs // 10)
    for number, batch in enumerate(source.learned):
        same(batch, columns, slice(10 * number, 10 * number + 10))
    assert columns[3].sum() > 5
    assert columns[4].sum() > 5


def test_a_rollout_of_whole_episodes_works_too() -> None:
    source, model = Source(), make(n_envs=1, train_freq=(1, "episode"))
    model.learn(30, pay(WeightedReward(source)))
    columns = noted(model)
    assert len(source.learned) >= 3
    for number, batch in enumerate(source.learned):
        same(batch, columns, slice(10 * number, 10 * number + 10))


def test_bonuses_are_those_of_the_moment_of_drawing() -> None:
    level = [0.0]
    model, draws = make(n_envs=1), Draws()
    source = Source(lambda batch: torch.full((len(batch),), level[0]))

    class Rise(BaseCallback):
        def _on_step(self) -> bool:
            level[0] += 1000.0
            return True

    model.learn(5, [*pay(WeightedReward(source), every=1), Rise(), draws])
    for number, sample in enumerate(draws.samples, 1):
        assert set((sample.rewards.flatten() // 1000).tolist()) == {number}


def test_sources_pay_nothing_before_they_have_learned_from_anything() -> None:
    source, model, draws = Source(one), make(n_envs=1), Draws()
    callbacks = pay(WeightedReward(source, 1000.0), every=10)
    model.learn(12, [*callbacks, draws])
    assert [float(sample.rewards.max()) >= 1000 for sample in draws.samples] == [False] * 9 + [True] * 3


def test_a_list_of_callbacks_adds_up_by_their_weights() -> None:
    model, draws = make(), Draws()
    model.learn(20, [*pay(WeightedReward(Source(one), 1000.0), WeightedReward(Source(one), 200.0)), draws])
    task = draws.samples[-1].rewards - 1200
    assert 0 <= task.min() <= task.max() < 10


def test_a_weight_may_fall_with_the_training_that_is_left() -> None:
    model, draws = make(n_envs=1), Draws()
    model.learn(10, [*pay(WeightedReward(Source(one), LinearSchedule(2000.0, 1000.0, 1.0)), every=1), draws])
    for number, sample in enumerate(draws.samples, 1):
        task = sample.rewards - (2000 - 100 * number)
        assert 0 <= task.min() <= task.max() < 10


def test_a_falling_weight_begins_anew_with_every_training() -> None:
    weights: list[float] = []

    def weight(remaining: float) -> float:
        weights.append(remaining)
        return remaining

    model = make(n_envs=1, learning_starts=1000)
    callbacks = pay(WeightedReward(Source(one), weight), every=1)
    for _ in range(2):
        model.learn(4, callbacks)
    assert weights == [0.75, 0.5, 0.25, 0] * 2


def test_rewards_of_several_steps_hold_the_bonus_of_each_discounted() -> None:
    model, draws = make(n_steps=3), Draws()
    model.learn(40, [*pay(WeightedReward(Source(one), 1000.0)), draws])
    sample = draws.samples[-1]
    lengths = torch.log(sample.discounts) / np.log(GAMMA)
    assert set(lengths.round().flatten().int().tolist()) == {1, 2, 3}
    task = sample.rewards - 1000 * (1 - sample.discounts) / (1 - GAMMA)
    assert -0.01 <= task.min() <= task.max() < 3 * 20


def test_a_buffer_that_saves_memory_pays_nothing_for_last_steps_whose_observations_it_lost() -> None:
    source, draws = Source(one), Draws()
    kwargs = {"handle_timeout_termination": False}
    model = make(buffer_size=16, optimize_memory_usage=True, replay_buffer_kwargs=kwargs)
    model.learn(60, [*pay(WeightedReward(source, 1000.0)), draws])
    columns, sample = noted(model), draws.samples[-1]
    for number, batch in enumerate(source.learned):
        same(batch, columns, slice(10 * number, 10 * number + 10))
    assert sample.dones.any()
    np.testing.assert_array_equal(sample.rewards >= 1000, 1 - sample.dones)
    ends = {tuple(row) for row in columns[2].tolist()}
    for batch in source.asked[-1:]:
        inner = ~(batch.terminated | batch.truncated)
        assert all(tuple(row) in ends for row in batch.next_observations[inner].tolist())


def test_under_vecnormalize_sources_see_the_environments_own_numbers() -> None:
    """The policy learns from normalized observations and rewards; bonuses are added to the normalized rewards."""
    source, model, draws = Source(), make(normalized=True), Draws()
    model.learn(60, [*pay(WeightedReward(source, 1000.0)), draws])
    columns = noted(model)
    for number, batch in enumerate(source.learned):
        # The last observation of an episode has been normalized and back again.
        same(batch, columns, slice(10 * number, 10 * number + 10), rtol=1e-5)
    sample = draws.samples[-1]
    asked = [batch for batch in source.asked if len(batch) == len(sample.rewards)][-1]
    env = model.get_vec_normalize_env()
    np.testing.assert_allclose(sample.observations, env.normalize_obs(asked.observations.numpy()), rtol=1e-5)
    assert asked.observations.mean() > 4
    assert sample.observations.abs().max() < 4
    task = sample.rewards.flatten() - 1000 * by_all(asked)
    stored = plain_replay_buffer(model).rewards[: plain_replay_buffer(model).pos].ravel()
    allowed = env.normalize_reward(stored)
    assert all(np.abs(allowed - each).min() < 0.1 for each in task.numpy())


def test_a_normalizer_below_another_wrapper_is_refused() -> None:
    from stable_baselines3.common.vec_env import VecFrameStack

    env = VecFrameStack(VecNormalize(DummyVecEnv([lambda: Noted(0)])), 2)
    model = SAC("MlpPolicy", env, device="cpu", buffer_size=10)
    with pytest.raises(InputError, match="outermost"):
        model.learn(4, pay(WeightedReward(Source())))


def test_what_sources_say_and_pay_is_in_the_log() -> None:
    source, model = Source(lambda batch: batch.observations[:, 0]), make()
    model.learn(20, pay(WeightedReward(source), every=20), log_interval=1000)
    assert model.logger.name_to_value["source0/seen"] == 20
    expected = float(source.learned[0].observations[:, 0].mean())
    assert model.logger.name_to_value["source0/reward"] == pytest.approx(expected)


def test_after_learning_the_model_has_its_own_buffer_with_the_tasks_rewards() -> None:
    model = make()
    before = model.replay_buffer
    model.learn(40, pay(WeightedReward(Source(), 1000.0)))
    assert model.replay_buffer is before
    plain = make().learn(40).replay_buffer
    assert set(vars(before)) == set(vars(plain))
    np.testing.assert_array_equal(before.rewards, plain.rewards)


def test_an_environment_that_breaks_leaves_the_model_with_its_own_buffer() -> None:
    model = make()
    before = model.replay_buffer
    model.get_env().envs[1].fails_at = 12
    with pytest.raises(RuntimeError):
        model.learn(40, pay(WeightedReward(Source(), 1000.0)))
    assert model.replay_buffer is before


class Broken(SAC):
    """Stops in the midst of learning, as with Ctrl-C."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        if self._n_updates == 5:
            raise KeyboardInterrupt
        super().train(gradient_steps, batch_size)


def test_what_a_stop_in_the_midst_of_learning_leaves_behind_is_as_the_buffer_itself() -> None:
    model = make(Broken)
    before = model.replay_buffer
    with pytest.raises(KeyboardInterrupt):
        model.learn(40, pay(WeightedReward(Source(one), 1000.0)))
    file = io.BytesIO()
    model.save_replay_buffer(file)
    file.seek(0)
    model.save(io.BytesIO())
    loaded = pickle.load(file)
    assert type(loaded) is ReplayBuffer
    np.testing.assert_array_equal(loaded.rewards, before.rewards)
    model._n_updates, source, draws = 6, Source(), Draws()
    model.learn(20, draws)
    assert all(sample.rewards.max() < 100 for sample in draws.samples), "nobody asked for a bonus"
    assert model.replay_buffer is before
    model.learn(20, [*pay(WeightedReward(source, 1000.0)), Draws()])
    assert len(source.asked) > 0
    assert model.replay_buffer is before


def test_a_source_that_breaks_leaves_the_model_with_its_own_buffer() -> None:
    def broken(batch: Transitions) -> Tensor:
        raise RuntimeError("the source broke")

    model, source = make(), Source(one)
    before, source.rule = model.replay_buffer, lambda batch: one(batch) if len(source.asked) < 4 else broken(batch)
    with pytest.raises(RuntimeError, match="the source broke"):
        model.learn(40, pay(WeightedReward(source, 1000.0)))
    assert model.replay_buffer is before
    assert model._n_updates > 0


def test_within_the_block_for_it_a_stop_leaves_the_model_with_its_own_buffer() -> None:
    model, source = make(Broken), Source(one)
    before = model.replay_buffer
    with pytest.raises(KeyboardInterrupt), restore_replay_buffer(model):
        model.learn(40, pay(WeightedReward(source, 1000.0)))
    assert model.replay_buffer is before
    assert source.asked


def test_the_buffer_can_be_saved_while_its_model_learns() -> None:
    class Save(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            self.file = io.BytesIO()
            self.model.save_replay_buffer(self.file)
            self.model.save(io.BytesIO())

    save, model = Save(), make()
    model.learn(20, [*pay(WeightedReward(Source(one), 1000.0)), save])
    loaded = pickle.loads(save.file.getvalue())
    assert type(loaded) is ReplayBuffer
    assert loaded.rewards.max() < 100


def test_steps_left_over_wait_for_the_next_training() -> None:
    source, model = Source(), make(n_envs=1)
    callbacks = pay(WeightedReward(source), every=10)
    model.learn(15, callbacks)
    model.learn(15, callbacks, reset_num_timesteps=False)
    assert [len(batch) for batch in source.learned] == [10, 10, 10]
    for number, batch in enumerate(source.learned):
        same(batch, noted(model), slice(10 * number, 10 * number + 10))


class Biased(ReplayBuffer):
    """Draws in its own way."""

    def sample(self, batch_size: int, env: Any = None) -> Any:
        return self._get_samples(np.zeros(batch_size, int), env)


class Goals(gym.Env):
    """As hindsight relabeling wants it."""

    place = spaces.Box(-1, 1, (2,), np.float32)
    observation_space = spaces.Dict({"observation": place, "achieved_goal": place, "desired_goal": place})
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def compute_reward(self, *goals: Any) -> float:
        return 0.0


@pytest.mark.parametrize("kind", ["own", "hindsight"])
def test_buffers_that_draw_in_their_own_way_are_refused_before_the_first_step(kind: str) -> None:
    if kind == "own":
        model = make(replay_buffer_class=Biased)
    else:
        model = SAC("MultiInputPolicy", Goals(), replay_buffer_class=HerReplayBuffer, buffer_size=100, device="cpu")
        model._last_obs = model.observation_space.sample()
    with pytest.raises(InputError, match="replay_buffer_class"):
        model._init_callback(pay(WeightedReward(Source())))
