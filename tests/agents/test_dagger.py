"""DAgger: who acts, what is labeled and cloned, in all spaces that cloning has; resumed bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.agents import BCConfig, DAgger, DAggerConfig, cli
from rlgen.agents.commands.finish import evaluate_run
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import observations as tree
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import evaluate
from rlgen.sb3.expert_labels import ExpertLabels
from rlgen.sb3.image_features import extractor_for
from rlgen.sb3.load import load_policy

from .conftest import Expert
from .interruptions import assert_resumes
from .tasks import Balancer, Walker

QUICK = BCConfig(max_updates=100, check_every=50, learning_rate=3e-3, average=0.9, plain_below=0.0, batch_size=64)
SHORT = DAggerConfig(steps_per_round=48, bc=replace(QUICK, max_updates=20, check_every=10))


def label(observations: Any) -> np.ndarray:
    return Expert().predict(observations)[0]


def test_the_learner_becomes_the_expert(point_ppo, point_env) -> None:
    model = point_ppo()
    DAgger(model, Expert(), None, DAggerConfig(steps_per_round=200, bc=QUICK)).learn(400)
    assert model.num_timesteps == 400
    env = point_env(seed=5)
    random, own, expert = (
        evaluate(policy, env, 16, seed=1, label=None).returns.mean() for policy in (point_ppo(seed=3), model, Expert())
    )
    assert own > expert - 0.05 * (expert - random)


@pytest.mark.parametrize(("decay", "shares"), [(0.0, [1, 0, 0]), (0.5, [1, 0.5, 0.25])])
def test_the_expert_acts_in_its_share_of_the_steps_and_labels_all(point_ppo, decay: float, shares: list[float]) -> None:
    model = point_ppo(n_envs=8)
    dagger = DAgger(model, label, None, DAggerConfig(steps_per_round=800, expert_decay=decay, bc=SHORT.bc)).learn(2400)
    rows = dagger.rows.demonstrations()
    np.testing.assert_allclose(rows.actions, label(rows.observations))
    assert len(rows) == 2400
    acted = np.stack(model.get_env().traffic.actions).swapaxes(0, 1).reshape(8, 3, 100, 2)
    labeled = rows.actions.reshape(3, 8, 100, 2).swapaxes(0, 1)
    by_expert = (acted == labeled).all(-1).mean((0, 2))
    assert by_expert == pytest.approx(shares, abs=0.06)  # three standard errors of 800 draws


def test_demonstrations_are_the_first_round(point_ppo, point_demonstrations) -> None:
    model, warm = point_ppo(), []
    dagger = DAgger(model, label, point_demonstrations, SHORT)
    dagger.on_warm_up = lambda update, most: warm.append((update, most))
    dagger.learn(48)
    rows = dagger.rows.demonstrations()
    assert warm == [(10, 20), (20, 20)]
    np.testing.assert_array_equal(rows.observations[: len(point_demonstrations)], point_demonstrations.observations)
    assert len(rows) == len(point_demonstrations) + 48
    acted = np.stack(model.get_env().traffic.actions).swapaxes(0, 1).reshape(-1, 2)
    assert not np.isclose(acted, rows.actions[-48:]).all(1).any(), "the learner acts from the first step"


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary", "CartPole"])
def test_images_dictionaries_and_discrete_actions_are_labeled_as_the_expert_sees_them(kind: str) -> None:
    env = make_vec("CartPole-v1" if kind == "CartPole" else f"test/{kind}-v0", 4)
    expert = Balancer() if kind == "CartPole" else Walker()
    model = make_model(LearnerConfig(hidden=(8,), n_steps=8, batch_size=8), env, 0)
    dagger = DAgger(model, expert, None, SHORT).learn(96)
    rows = dagger.rows.demonstrations()
    seen = {
        name: np.moveaxis(each, 1, -1) if each.ndim == 4 else each
        for name, each in tree.entries(rows.observations).items()
    }
    assert rows.actions.ravel().tolist() == expert.predict(tree.of_entries(seen))[0].tolist()
    assert len(set(rows.actions.ravel().tolist())) > 1


def test_under_a_vec_normalize_the_expert_and_the_rows_have_raw_observations(point_env, point_demonstrations) -> None:
    tap = point_env()
    model = PPO("MlpPolicy", VecNormalize(tap, gamma=0.9), n_steps=16, batch_size=16, device="cpu", seed=0)
    rows = DAgger(model, label, point_demonstrations, SHORT).learn(96).rows.demonstrations()
    own = slice(len(point_demonstrations), None)
    np.testing.assert_array_equal(rows.actions[own], label(rows.observations[own]))
    going = ~np.array(tap.traffic.ended[:-1])
    returned = {tuple(row) for row in np.array(tap.traffic.following[:-1])[going].tolist()}
    assert returned <= {tuple(row) for row in rows.observations[own].tolist()}
    merged = len(point_demonstrations) + 96 + 4  # once, every step, and the first reset
    assert model.get_vec_normalize_env().obs_rms.count == pytest.approx(merged, abs=1)


def test_a_normalized_training_goes_on_from_its_state_with_a_reset(point_env) -> None:
    def agent() -> DAgger:
        env = VecNormalize(point_env(), gamma=0.9)
        return DAgger(PPO("MlpPolicy", env, n_steps=16, batch_size=16, device="cpu", seed=0), label, None, SHORT)

    state = agent().learn(48).state_dict()
    again = agent()
    again.load_state_dict(state)
    again.learn(48)
    assert again.rounds == 2
    np.testing.assert_array_equal(again.rows.demonstrations().actions, label(again.rows.demonstrations().observations))


def test_an_expert_with_a_vec_normalize_of_its_own_sees_what_it_was_trained_on(point_env) -> None:
    expert = PPO("MlpPolicy", VecNormalize(point_env(seed=2)), n_steps=16, batch_size=16, device="cpu", seed=1)
    expert.learn(64)
    rows = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    own = expert.get_vec_normalize_env()
    expected = np.clip(expert.predict(own.normalize_obs(rows), deterministic=True)[0], -0.4, 0.4)
    for env in (point_env(), VecNormalize(point_env()), VecNormalize(point_env(), norm_obs=False)):
        labels = ExpertLabels(expert, PPO("MlpPolicy", env, n_steps=16, batch_size=16, device="cpu"))
        np.testing.assert_allclose(labels(rows, np.ones(4, bool)), expected)


def test_an_expert_of_images_sees_them_below_a_vec_normalize_as_the_task_returns_them() -> None:
    env = VecNormalize(make_vec("test/GridDictionary-v0", 4), norm_obs_keys=[])
    small = {"features_extractor_class": extractor_for(env.observation_space), "net_arch": [8]}
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, policy_kwargs=small, device="cpu", seed=0)
    rows = DAgger(model, Walker(), None, SHORT).learn(96).rows.demonstrations()
    assert rows.actions.ravel().tolist() == Walker().predict(rows.observations)[0].tolist()


def test_the_same_seed_gives_the_same_policy_also_from_a_function(point_ppo) -> None:
    models = [DAgger(point_ppo(seed=3), expert, None, SHORT).learn(96).model for expert in (Expert(), label)]
    for one, two in zip(*(model.policy.parameters() for model in models), strict=True):
        assert torch.equal(one, two)


def test_an_off_policy_model_learns_too_and_its_state_is_all(point_env) -> None:
    def agent() -> DAgger:
        model = SAC(
            "MlpPolicy", point_env(seed=1), seed=4, policy_kwargs={"net_arch": [8]}, buffer_size=50, device="cpu"
        )
        return DAgger(model, label, None, replace(SHORT, expert_decay=0.5))

    whole = agent().learn(48)
    state = whole.state_dict()
    again = agent()
    again.load_state_dict(state)
    assert (again.rounds, len(again.rows), again.share) == (1, 48, 0.5)
    assert again.rows.demonstrations().fingerprint == whole.rows.demonstrations().fingerprint
    for one, two in zip(whole.model.policy.parameters(), again.model.policy.parameters(), strict=True):
        assert torch.equal(one, two)
    for name, value in whole.initial.items():
        assert torch.equal(again.initial[name], value)


class Forgetful:
    """Its memory counts its calls, and its second action is that count."""

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False):
        count = np.zeros(len(observation)) if state is None else np.where(episode_start, 0, state[0] + 1)
        return np.stack([0 * count, count], -1) / 100, (count,)


def test_a_recurrent_expert_has_its_memory_also_after_a_resume(point_ppo) -> None:
    labels = ExpertLabels(Forgetful(), point_ppo(n_envs=2))
    rows, starts = np.zeros((2, 2), np.float32), np.zeros(2, bool)
    assert labels(rows, ~starts)[:, 1].tolist() == pytest.approx([0, 0])
    assert labels(rows, np.array([True, False]))[:, 1].tolist() == pytest.approx([0, 0.01])
    again = ExpertLabels(Forgetful(), point_ppo(n_envs=2))
    again.load_state_dict(labels.state_dict())
    assert again(rows, starts)[:, 1].tolist() == pytest.approx([0.01, 0.02])


def test_what_it_cannot_do_is_refused_early(point_ppo, point_env, point_demonstrations) -> None:
    with pytest.raises(InputError, match="`predict`, or a function"):
        DAgger(point_ppo(), 7)
    with pytest.raises(InputError, match="observation space of the policy"):
        DAgger(point_ppo(), PPO("MlpPolicy", make_vec("CartPole-v1", 1), device="cpu"))
    with pytest.raises(InputError, match=r"actions of shape \[4, 2\] from the expert"):
        DAgger(point_ppo(), lambda seen: seen[:, :1], None, SHORT).learn(8)
    with pytest.raises(InputError, match="finite actions"):
        DAgger(point_ppo(), lambda seen: seen * np.nan, None, SHORT).learn(8)
    with pytest.raises(InputError, match="whole numbers within Discrete"):
        DAgger(PPO("MlpPolicy", make_vec("CartPole-v1", 2), device="cpu"), lambda seen: [2, 0.5], None, SHORT).learn(8)
    with pytest.raises(InputError, match="expert_decay"):
        DAggerConfig(expert_decay=1)
    wide = np.zeros((len(point_demonstrations), 3), np.float32)
    wider = replace(point_demonstrations, observations=wide, next_observations=wide)
    with pytest.raises(InputError, match="2 numbers per row"):
        DAgger(point_ppo(), label, wider)


RUN = (
    "--env Hopper-v5 --n-envs 2 --device cpu --threads 1 --no-video --episodes 2 --steps 256 --checkpoint-every 128 "
    "--evaluate-every 0 --hidden 8 --dagger.steps-per-round 64 --dagger.expert-decay 0.5 --dagger.memory-mb 0.013 "
    "--dagger.bc.max-updates 20 --dagger.bc.check-every 10"
)


def test_a_killed_run_is_resumed_bit_for_bit_without_the_experts_file(tmp_path: Path, no_finish: list[tuple]) -> None:
    env, expert = make_vec("Hopper-v5", 1), tmp_path / "expert.zip"
    PPO("MlpPolicy", env, seed=8, n_steps=8, batch_size=8, device="cpu").save(expert)
    assert_resumes(["train", "dagger", *RUN.split(), "--expert", str(expert)], 192, tmp_path, no_finish, lost=expert)


def test_a_run_is_evaluated_against_its_expert_and_starts_from_demonstrations(
    tmp_path: Path, demos: Path, capsys: pytest.CaptureFixture[str], no_finish: list[tuple]
) -> None:
    env = make_vec("PointWorld-v0", 1, backend="gymnasium")
    PPO("MlpPolicy", env, seed=8, n_steps=8, batch_size=8, device="cpu").save(tmp_path / "expert.zip")
    small = "--dagger.steps-per-round 16 --dagger.bc.max-updates 20 --dagger.bc.check-every 10 --hidden 8"
    where = "--env PointWorld-v0 --no-video --episodes 4 --steps 16 --device cpu --evaluate-every 0"
    command = ["train", "dagger", *where.split(), *small.split(), "--expert", str(tmp_path / "expert.zip")]
    assert cli.main([*command, "--demos", str(demos), "--stride", "2", "--out", str(tmp_path / "run")]) == 0
    _, task, model, shown, _ = no_finish[-1]
    assert shown.stride == 2
    returns, _ = evaluate_run(task, model, [], shown)
    played = evaluate(load_policy(tmp_path / "expert.zip"), make_vec("PointWorld-v0", 4), 4, seed=10_000, label=None)
    assert returns.reference == "expert"
    assert returns.expert_return == pytest.approx(played.returns.mean())
    assert cli.main([*command, "--stride", "2", "--out", str(tmp_path / "other")]) == 2
    assert "--stride without --demos" in " ".join(capsys.readouterr().err.split())
