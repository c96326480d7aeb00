"""An explorer trains a model on its task's reward and what curiosities add, and goes on from its state."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger

from rlgen.agents import RND, VIME, Explorer
from rlgen.agents.learner import EXPLORATION, make_model
from rlgen.data import Visits
from rlgen.data.visits import axes_within
from rlgen.errors import InputError
from rlgen.rewards import InformationGainConfig, RandomNetworkDistillationConfig, ReturnNormalizer
from rlgen.sb3 import Relabel, WeightedReward
from rlgen.sb3.coverage import Coverage
from rlgen.sb3.observation_normalization import ObservationStatistics

from .test_curiosity import Bits

QUICK = InformationGainConfig(hidden=(8,), updates_per_rollout=2, batch_size=16)


def explorer(model, *curiosities) -> Explorer:
    model.set_logger(Logger(None, []))
    axes = axes_within(model.observation_space.low, model.observation_space.high)
    return Explorer(model, curiosities, Coverage(Visits(axes)))


def small_sac(env, kind: type[SAC] = SAC) -> SAC:
    return kind("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, learning_starts=20, seed=0, device="cpu")


def test_the_bonus_of_every_curiosity_is_added_to_the_tasks_reward(spy) -> None:
    """CartPole pays 1 for every step."""

    class Louder(VIME):
        name = "louder"

    assert Louder.config_type() is InformationGainConfig
    env = make_vec_env("CartPole-v1", 2, seed=0)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    agent = Explorer(model, [VIME(QUICK, eta=0.5), Louder(QUICK, eta=2.0)])
    bonus: list[tuple[float, float]] = []

    class Logged(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            bonus.append(tuple(self.logger.name_to_value[f"{name}/reward"] for name in ("vime", "louder")))

    agent.learn(192, CallbackList([spy, Logged()]))
    assert bonus[0] == (0, 0)
    for (quiet, loud), rollout in zip(bonus, spy.rollouts, strict=True):
        assert rollout["rewards"].mean() == pytest.approx(1 + 0.5 * quiet + 2 * loud, rel=1e-5)
    assert min(bonus[-1]) > 0


def test_two_curiosities_and_a_scale_give_the_advantages_of_a_chain_of_callbacks(point_ppo, spy, monkeypatch) -> None:
    """Bit for bit, with time limits and falls among the steps; but the chain computes advantages once a link."""
    computed = []
    advantages = RolloutBuffer.compute_returns_and_advantage
    monkeypatch.setattr(
        RolloutBuffer, "compute_returns_and_advantage", lambda *a, **k: computed.append(1) or advantages(*a, **k)
    )

    def scale() -> ReturnNormalizer:
        return ReturnNormalizer(0.9, 4)

    def curiosities() -> tuple[VIME, RND]:
        return VIME(QUICK, eta=0.5, final_eta=0.2), RND(RandomNetworkDistillationConfig(batch_size=16), eta=2.0)

    chained = point_ppo()
    links = curiosities()
    chained.learn(192, [ObservationStatistics(), *links, Relabel({}, scale(), adds=True), spy])
    assert len(computed) == 3 * (1 + 3)
    computed.clear()
    Explorer(point_ppo(), curiosities(), scale=scale()).learn(192, spy)
    assert len(computed) == 3 * (1 + 1), "SB3's own, and once anew"
    for chain, whole in zip(spy.rollouts[:3], spy.rollouts[3:], strict=True):
        for name in spy.NAMES:
            np.testing.assert_array_equal(whole[name], chain[name], name)


def test_without_curiosity_it_is_the_model_itself(point_ppo, spy) -> None:
    alone = point_ppo()
    alone.learn(64, spy)
    explorer(point_ppo()).learn(64, spy)
    for name in spy.NAMES:
        np.testing.assert_array_equal(spy.rollouts[0][name], spy.rollouts[1][name], name)


class Stopped(SAC):
    """Ctrl-C in the midst of learning."""

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        super().train(gradient_steps, batch_size)
        raise KeyboardInterrupt


def test_a_stop_in_the_midst_of_learning_leaves_the_model_with_its_own_replay_buffer(point_env) -> None:
    model = small_sac(point_env(), Stopped)
    before = model.replay_buffer
    with pytest.raises(KeyboardInterrupt):
        explorer(model, VIME(QUICK)).learn(128)
    assert model.replay_buffer is before
    assert model._n_updates == 1, "it had begun to learn"


def test_steps_are_counted_over_all_calls(point_ppo) -> None:
    agent = explorer(point_ppo(), VIME(QUICK))
    assert agent.learn(100).model.num_timesteps == 128
    assert agent.learn(0).model.num_timesteps == 128
    assert agent.learn(64).model.num_timesteps == 192
    assert agent.coverage.visits.counts.sum() == 192


@pytest.mark.parametrize("kind", ["ppo", "sac"])
def test_everything_it_has_learned_is_in_its_state(kind: str, point_ppo, point_env) -> None:
    made = [explorer(point_ppo() if kind == "ppo" else small_sac(point_env()), VIME(QUICK)) for _ in range(2)]
    made[0].learn(128)
    made[1].load_state_dict(made[0].state_dict())
    assert made[1].model.num_timesteps == 128
    for name, value in made[0].model.policy.state_dict().items():
        assert torch.equal(made[1].model.policy.state_dict()[name], value), name
    assert made[1].files() == made[0].files()
    weights = [each.curiosities[0].source.model.state_dict() for each in made]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_eta_goes_on_falling_from_where_it_was(point_ppo, monkeypatch) -> None:
    """Whoever goes on in another process begins with a model that believes it has all its training before it."""
    whole = explorer(point_ppo(), VIME(QUICK, eta=1.0, final_eta=0.0))
    seen: list[float] = []
    whole.learn(128)
    other = explorer(point_ppo(), VIME(QUICK, eta=1.0, final_eta=0.0))
    other.load_state_dict(whole.state_dict())
    other.model._last_obs = None  # new episodes: this environment's state is not among it
    weight_at = WeightedReward.weight_at
    monkeypatch.setattr(WeightedReward, "weight_at", lambda *a: seen.append(weight_at(*a)) or seen[-1])
    other.learn(128)
    assert seen[0] == 0.5
    assert sorted(seen, reverse=True) == seen


def test_the_default_learner_explores_with_all_the_noise_that_actions_have_room_for() -> None:
    model = make_model(EXPLORATION, make_vec_env("Pendulum-v1", 8), seed=0)
    assert isinstance(model, PPO)
    assert model.policy.log_std.exp().tolist() == pytest.approx([2.0])
    assert model.n_steps * model.n_envs == 5000


def test_two_curiosities_of_one_name_are_refused(point_ppo) -> None:
    with pytest.raises(InputError, match="vime, vime"):
        Explorer(point_ppo(), [VIME(QUICK), VIME(QUICK, eta=1.0)])


def test_a_task_that_a_curiosity_cannot_see_is_refused_at_once() -> None:
    model = PPO("MlpPolicy", Bits(), n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(InputError, match="Box or Discrete"):
        Explorer(model, [VIME(QUICK)])
