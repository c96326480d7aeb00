"""AIRL: imitates, and the reward that it learns trains another policy; its likelihoods are those of the policy."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.agents import AIRL, AIRLConfig, BCConfig
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards import AIRLDiscriminatorConfig
from rlgen.rewards.learned_reward import FILE, LearnedReward
from rlgen.sb3 import normalized_policy
from rlgen.sb3.likelihood import PolicyLikelihood, rollout_log_probs
from rlgen.sb3.replaced_rewards import LearnedRewards

from .conftest import Expert, PointWorld
from .interruptions import assert_resumes
from .tasks import Balancer
from .test_gail_off_policy import returned, score

SMALL = AIRLDiscriminatorConfig(batch_size=64, updates_per_rollout=8, learning_rate=1e-2)
COLD = AIRLConfig(discriminator=SMALL, warm_start=False, average=0.0)


class Box(PointWorld):
    """A point in a box, rewarded with 1 - |p|, that never falls; it starts anywhere."""

    sign = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        gym.Env.reset(self, seed=seed)
        self.place = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.place, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        noise = 0.1 * self.np_random.normal(size=2)
        self.place = (self.place + self.sign * action + noise).clip(-1, 1).astype(np.float32)
        return self.place, 1 - float(np.linalg.norm(self.place)), False, False, {}


class Mirrored(Box):
    """Other dynamics: an action moves to the opposite side."""

    sign = -1


gym.register("test/Box-v0", Box, max_episode_steps=12)
gym.register("test/Mirrored-v0", Mirrored, max_episode_steps=12)
ACTIONS = np.stack(np.meshgrid(*[[-0.4, -0.2, 0, 0.2, 0.4]] * 2), -1).reshape(-1, 2).astype(np.float32)


class Greedy:
    """The mirrored action whose next state has the highest learned reward."""

    def __init__(self, learned: LearnedReward):
        self.learned = learned

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        after = torch.tensor(np.clip(observation[:, None] - ACTIONS, -1, 1)).flatten(0, 1)
        values = self.learned(after, torch.zeros(len(after), 2)).view(len(observation), -1)
        return ACTIONS[values.argmax(1).numpy()], None


def test_it_imitates_and_finds_the_tasks_own_reward_which_holds_for_other_dynamics() -> None:
    env = make_vec("test/Box-v0", 8)
    shown = Demonstrations.record(Expert(), env, 24)
    rate = {"learning_rate": 3e-3, "n_epochs": 8, "gae_lambda": 0.8, "gamma": 0.9}
    small: Any = {"n_steps": 16, "batch_size": 32, "policy_kwargs": normalized_policy([16])}
    model = PPO("MlpPolicy", env, seed=1, device="cpu", **small, **rate)  # type: ignore[arg-type]
    untrained = returned(model, env)
    learned = AIRL(model, shown, COLD).learn(2000).learned_reward
    assert score(model, env, shown, untrained) > 0.75
    grid = torch.cartesian_prod(*[torch.linspace(-1, 1, 21)] * 2)
    found = learned(grid, torch.zeros(len(grid), 2)).detach()
    assert np.corrcoef(found, 1 - grid.norm(dim=1))[0, 1] > 0.8, "it has never seen the reward 1 - |p|"
    mirrored = make_vec("test/Mirrored-v0", 8)
    assert returned(model, mirrored) < untrained, "the policy itself is of no use there"
    assert returned(Greedy(learned), mirrored) > 0.85 * shown.expert_return


@pytest.mark.parametrize("squashed", [False, True])
def test_likelihoods_are_those_of_the_actions_as_the_policy_drew_them(point_env, squashed: bool) -> None:
    policy = {"squash_output": True} if squashed else {"log_std_init": 0.0}  # most actions beyond the bounds
    env, found = point_env(), {}
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu", use_sde=squashed, policy_kwargs=policy, seed=0)

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            buffer = model.rollout_buffer
            drawn, observations = (torch.tensor(each).flatten(0, 1) for each in (buffer.actions, buffer.observations))
            received = torch.tensor(np.stack(env.traffic.actions)).flatten(0, 1)
            found["rollout"] = rollout_log_probs(model)
            found["evaluated"] = model.policy.evaluate_actions(observations, drawn)[1].detach()
            found["likelihood"] = PolicyLikelihood(model)(observations, received if squashed else drawn)
            found["clipped"] = (received != drawn).any(1)

    model.learn(32, Look())
    torch.testing.assert_close(found["rollout"], found["evaluated"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["likelihood"], found["rollout"], atol=1e-3, rtol=1e-3)
    assert found["clipped"].float().mean() > 0.5


def test_the_source_gets_the_likelihoods_of_the_rollout_that_it_learns_from(point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    airl = AIRL(model, point_demonstrations, AIRLConfig(discriminator=SMALL, warm_start=False, scale_reward=False))
    rewards: list[torch.Tensor] = []
    inner = airl.source.reward

    def reward(batch):
        rewards.append(inner(batch))
        f = rewards[-1] + airl.source.policy_log_prob
        airl.source.policy_log_prob = torch.zeros(len(batch))
        torch.testing.assert_close(inner(batch), f)
        airl.source.policy_log_prob = rollout_log_probs(model)
        return rewards[-1]

    airl.source.reward = reward  # type: ignore[method-assign]
    airl.learn(128)
    assert len(rewards) == 2
    np.testing.assert_allclose(model.rollout_buffer.relabeled, rewards[-1].view(16, 4), rtol=1e-6)


def test_the_same_seed_gives_the_same_reward(point_ppo, point_demonstrations) -> None:
    one, two = (AIRL(point_ppo(seed=3), point_demonstrations, COLD).learn(128) for _ in range(2))
    assert one.files()[FILE] == two.files()[FILE]


def test_discrete_actions_and_a_vec_normalize_work() -> None:
    env = make_vec("CartPole-v1", 2, env_kwargs={"max_episode_steps": 50})
    shown = Demonstrations.record(Balancer(), env, 2)
    model = PPO("MlpPolicy", VecNormalize(env), n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    config = AIRLDiscriminatorConfig(inputs="state_action", batch_size=16, updates_per_rollout=2)
    bc = BCConfig(max_updates=20, check_every=10)
    airl = AIRL(model, shown, AIRLConfig(discriminator=config, bc=bc)).learn(64)
    assert airl.learned_reward.shape.n_actions == 2
    seen = airl.source.log_prob(*airl.source.demonstrations.tensors()[:2])
    normalized = torch.tensor(model.get_vec_normalize_env().normalize_obs(shown.observations)).float()
    actions = torch.tensor(shown.actions).squeeze(1)
    torch.testing.assert_close(seen, model.policy.get_distribution(normalized).log_prob(actions).detach())


def test_its_state_is_all(point_ppo, point_demonstrations) -> None:
    whole, again = (AIRL(point_ppo(seed=3), point_demonstrations, COLD) for _ in range(2))
    whole.learn(64)
    again.load_state_dict(whole.state_dict())
    assert again.files()[FILE] == whole.files()[FILE]
    rows = point_demonstrations.transitions()
    for each in (whole, again):
        each.source.policy_log_prob = torch.zeros(len(rows))
    assert torch.equal(again.source.reward(rows), whole.source.reward(rows))


def test_off_policy_models_and_other_tasks_are_refused(point_env, point_demonstrations, point_ppo) -> None:
    with pytest.raises(InputError, match="on-policy SB3 model for AIRL"):
        AIRL(SAC("MlpPolicy", point_env(), buffer_size=10, device="cpu"), point_demonstrations)
    learned = AIRL(point_ppo(), point_demonstrations, COLD).learned_reward
    with pytest.raises(InputError, match="of CartPole-v1"):
        LearnedRewards(make_vec("CartPole-v1", 1), learned)


def test_the_reward_of_a_step_is_that_of_the_state_before_it(point_env, point_ppo, point_demonstrations) -> None:
    learned = AIRL(point_ppo(), point_demonstrations, COLD).learned_reward
    env = LearnedRewards(point_env(2), learned)
    before, rewards, expected = env.reset(), [], []
    for _ in range(30):  # through ends of episodes
        expected.append(learned(torch.tensor(before), torch.zeros(2, 2)).detach().numpy())
        before, reward, _, infos = env.step(Expert().predict(before)[0])
        rewards.append(reward)
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)
    assert all("episode" not in info or info["episode"]["r"] != 0 for info in infos)


RUN = (
    "--env Hopper-v5 --n-envs 2 --device cpu --threads 1 --no-video --episodes 2 --steps 256 --checkpoint-every 128 "
    "--evaluate-every 0 --learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 1 --learner.hidden 8"
)


def test_runs_resume_bit_for_bit_and_one_trains_on_the_reward_of_another(
    tmp_path: Path, no_finish: list[tuple]
) -> None:
    random = np.random.default_rng(0)
    episode = Episode(observations=random.normal(size=(65, 11)), actions=random.uniform(-1, 1, (64, 3)))
    Demonstrations.from_episodes([episode], env_id="Hopper-v5").save(tmp_path / "demos.npz")
    own = "--airl.bc.max-updates 20 --airl.bc.check-every 10 --airl.average 0.5"
    own += " --airl.discriminator.batch-size 32 --airl.discriminator.past-rollouts 2"
    imitating = ["train", "airl", *RUN.split(), *own.split(), "--demos", str(tmp_path / "demos.npz")]
    run = assert_resumes(imitating, 192, tmp_path, no_finish)
    learning = ["train", "rl", *RUN.split(), "--reward", str(run)]
    (tmp_path / "next").mkdir()
    assert_resumes(learning, 192, tmp_path / "next", no_finish, lost=run / FILE)
    env = no_finish[-1][2].get_env()
    assert isinstance(env, LearnedRewards)
    kept = LearnedReward.load(tmp_path / "next" / "whole")
    assert all(torch.equal(kept.state_dict()[name], value) for name, value in env.learned.state_dict().items())
