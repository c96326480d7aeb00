"""From an expert's episodes to a policy that solves the task, for every kind of observation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from rlgen.agents import BC, BCConfig
from rlgen.agents.cli import main
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import Result, evaluate
from rlgen.sb3 import load_policy
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.sequences import recurrent_distribution

from .tasks import Balancer, Swinger, Walker

QUICK = BCConfig(max_updates=200, check_every=50, learning_rate=3e-3, average=0.9, plain_below=0.0, batch_size=64)
FORMATS = {"npz": "shown.npz", "hdf5": "shown.hdf5", "minari": "shown-v0", "imitation": "shown"}


def through_file(shown: Demonstrations, folder: Path, format: str) -> Demonstrations:
    shown.save(folder / FORMATS[format], format)
    return Demonstrations.load(folder / FORMATS[format])


@pytest.mark.parametrize(("kind", "format"), [("GridImage", "imitation"), ("GridDictionary", "minari")])
def test_a_grid_is_walked_as_shown(kind: str, format: str, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    env = make_vec(f"test/{kind}-v0", 8)
    shown = through_file(Demonstrations.record(Walker(), env, 40), tmp_path, format)
    model = make_model(LearnerConfig(hidden=(32,), n_steps=8, batch_size=8), env, 0)
    BC(model, shown, QUICK).learn()
    found = evaluate(model, env, 16, seed=99, label=None)
    assert found.terminated.all(), "every episode ends at the goal"
    assert found.returns.mean() > shown.expert_return - 0.02


class Leftward:
    """Falls soon."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return np.zeros(len(observation), int), None


@pytest.mark.parametrize("format", ["npz", "hdf5"])
def test_cartpole_is_balanced_as_shown_also_by_episodes_cut_early(format: str, tmp_path: Path) -> None:
    env = make_vec("CartPole-v1", 4, env_kwargs={"max_episode_steps": 150})

    wholes, falls = Demonstrations.record(Balancer(), env, 4), Demonstrations.record(Leftward(), env, 2)
    assert through_file(falls, tmp_path, format).terminated.sum() == 2
    shown = through_file(wholes, tmp_path, format)
    assert shown.truncated.sum() == 4
    model = ppo("MlpPolicy", env)
    BC(model, shown, QUICK).learn()
    assert evaluate(model, env, 4, seed=99, label=None).returns.tolist() == 4 * [150.0]


@pytest.mark.parametrize("task", ["Pendulum-v1", "test/PendulumWindow-v0"])
def test_a_pendulum_is_swung_up_as_shown(task: str, tmp_path: Path) -> None:
    env = make_vec(task, 4)
    shown = through_file(Demonstrations.record(Swinger(), env, 16), tmp_path, "hdf5")
    model = make_model(LearnerConfig(hidden=(64, 64), n_steps=8, batch_size=8), env, 0)
    BC(model, shown, replace(QUICK, max_updates=600, average=0.95, noise=0.0, dropout=0.0, batch_size=128)).learn()
    cloned = evaluate(model, env, 4, seed=99, label=None).returns.mean()
    assert cloned > evaluate(Swinger(), env, 4, seed=99, label=None).returns.mean() - 120  # hanging down: about -1200


class Means(BaseFeaturesExtractor):
    """A features extractor of the user: channel means of an image with channels first."""

    def __init__(self, observation_space: spaces.Box):
        super().__init__(observation_space, observation_space.shape[0])

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return observations.flatten(2).mean(2)


class Colors(gym.Env):
    """Shows a color for three steps; the action names it."""

    action_space = spaces.Discrete(2)

    def __init__(self, side: int = 36, entries: bool = False):
        self.image = spaces.Box(0, 255, (side, side, 3), np.uint8)
        both = spaces.Dict({"view": self.image, "gauge": spaces.Box(-9, 9, (2,)), "kind": spaces.Discrete(3)})
        self.observation_space = both if entries else self.image
        self.entries = entries

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.color = 0, int(self.np_random.integers(2))
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observation(), float(action == self.color), False, self.t == 3, {}

    def observation(self) -> Any:
        view = np.zeros(self.image.shape, np.uint8)
        view[..., 2 * self.color] = 250
        gauge = self.np_random.normal(size=2).astype(np.float32)
        return {"view": view, "gauge": gauge, "kind": int(self.t % 3)} if self.entries else view


class Names:
    def predict(self, observation: Any, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        view = observation["view"] if isinstance(observation, dict) else observation
        return (view[:, 0, 0, -1] > 0).astype(int), None


def colors(**options: Any) -> DummyVecEnv:
    env = DummyVecEnv([lambda: Colors(**options)] * 2)
    env.seed(0)
    return env


def ppo(policy: Any, env: Any, **options: Any) -> PPO:
    return PPO(policy, env, n_steps=8, batch_size=16, seed=0, device="cpu", **options)


def shown_colors(env: Any) -> Demonstrations:
    return Demonstrations.record(Names(), env, 12)


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ("CnnPolicy", {"policy_kwargs": {"features_extractor_kwargs": {"features_dim": 16}}}),
        ("CnnPolicy", {"policy_kwargs": {"features_extractor_class": Means}}),
        ("MlpPolicy", {"policy_kwargs": {"net_arch": [8]}}),
        ("MultiInputPolicy", {"policy_kwargs": {"features_extractor_kwargs": {"cnn_output_dim": 16}}}),
    ],
)
def test_sb3_s_policies_and_own_extractors_are_cloned_and_open_again(
    policy: str, options: dict[str, Any], tmp_path: Path
) -> None:
    env = colors(entries=policy == "MultiInputPolicy")
    shown, model = shown_colors(env), ppo(policy, env, **options)
    few = BCConfig(max_updates=40, check_every=20, average=0.5, plain_below=0.0, batch_size=16, learning_rate=5e-3)
    BC(model, shown, few).learn()
    assert evaluate(model, env, 8, label=None).returns.tolist() == 8 * [3.0]
    model.save(tmp_path / "model.zip")
    if "features_extractor_class" in options.get("policy_kwargs", {}):
        with pytest.raises(InputError, match="its own features extractor"):
            load_policy(tmp_path / "model.zip")
        return
    loaded, seen = load_policy(tmp_path / "model.zip"), env.reset()
    assert np.array_equal(loaded.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0])
    again = Demonstrations.record(loaded, env, 4)
    assert again.episode_returns.tolist() == 4 * [3.0]


def test_a_policy_sees_demonstrated_images_as_those_of_its_environment() -> None:
    for env in (colors(), VecFrameStack(colors(), 2)):
        model = ppo("CnnPolicy", env)
        shown = Demonstrations.record(Names(), env, 2)
        seen = PolicyInputs(model)(shown.transitions().observations)
        expected, _ = model.policy.obs_to_tensor(np.array(shown.observations))
        assert seen.dtype == torch.uint8, "never a float copy of all"
        assert torch.equal(seen, expected)
        moved = Demonstrations.record(Moved(), model.get_env(), 2)  # channels first
        assert torch.equal(PolicyInputs(model)(moved.transitions().observations), seen)


class Moved:
    """`Names` of images with channels first."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return (observation[:, -1, 0, 0] > 0).astype(int), None


def test_parts_of_images_are_not_copied() -> None:
    env = colors()
    bc = BC(ppo("CnnPolicy", env), shown_colors(env), QUICK)
    store = bc.demonstrations.next_observations.store
    for part in bc._split():
        assert part.observations.store.data_ptr() == store.ctypes.data
    drawn = bc._split()[0].draw(4)
    assert drawn.observations.shape == (4, 36, 36, 3)
    assert torch.equal(bc._noisy(drawn, 0.5).observations, drawn.observations), "pixels get no noise"


def test_numbers_of_a_dictionary_get_noise_and_other_entries_none() -> None:
    env = colors(entries=True)
    bc = BC(ppo("MultiInputPolicy", env), shown_colors(env), QUICK)
    before, after = bc.batch.observations, bc._noisy(bc.batch, 0.5).observations
    assert not torch.equal(after["gauge"], before["gauge"])
    for name in ("view", "kind"):
        assert torch.equal(after[name], before[name])


class Normed(Means):
    """Channel means with the running statistics of a batch norm."""

    def __init__(self, observation_space: spaces.Box):
        super().__init__(observation_space)
        self.norm = torch.nn.BatchNorm1d(self.features_dim)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(observations))


def test_held_out_rows_do_not_change_a_batch_norm_and_training_rows_do() -> None:
    env = colors()
    model = ppo("CnnPolicy", env, policy_kwargs={"features_extractor_class": Normed})
    bc = BC(model, shown_colors(env), QUICK)
    train, held_out = bc._split()
    means = model.policy.features_extractor.norm.running_mean
    bc._held_out_loss(held_out, 0)
    assert means.tolist() == [0, 0, 0]
    bc._step(QUICK, train, torch.optim.Adam(model.policy.parameters()))
    assert means.abs().max() > 0


def test_pixels_without_hidden_layers_are_not_cloned_twice() -> None:
    env = colors()
    for layers, updates in (([], 4), ([8], 8)):
        model = ppo("CnnPolicy", env, policy_kwargs={"features_extractor_class": Means, "net_arch": layers})
        few = BCConfig(max_updates=4, check_every=2, batch_size=8)
        assert BC(model, shown_colors(env), few).learn().updates == updates


class Recall(gym.Env):
    """Shows a sign in the first step only; the last action must repeat it, the others are 0."""

    observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Discrete(3)
    steps = 5

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t, self.sign = 0, int(self.np_random.integers(2))
        return np.array([2 * self.sign - 1, 0], np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        right = action == (1 + self.sign if self.t == self.steps else 0)
        return np.array([0, self.t == self.steps - 1], np.float32), float(right), False, self.t == self.steps, {}


def recalled() -> Demonstrations:
    episodes = []
    for sign in (0, 1) * 8:
        seen = np.zeros((Recall.steps + 1, 2))
        seen[0, 0], seen[-2, 1] = 2 * sign - 1, 1
        actions = np.zeros((Recall.steps, 1))
        actions[-1] = 1 + sign
        episodes.append(Episode(observations=seen, actions=actions, terminated=False))
    return Demonstrations.from_episodes(episodes)


def recurrent(**options: Any) -> Any:
    contrib = pytest.importorskip("sb3_contrib")
    arguments = {"lstm_hidden_size": 16, "net_arch": [16], **options}
    env = DummyVecEnv([Recall] * 2)
    env.seed(0)
    return contrib.RecurrentPPO("MlpLstmPolicy", env, n_steps=8, seed=0, device="cpu", policy_kwargs=arguments)


def test_a_recurrent_policy_recalls_what_only_memory_knows() -> None:
    config = BCConfig(
        max_updates=200, check_every=50, learning_rate=2e-2, average=0.9, plain_below=0.0, noise=0.0, dropout=0.0
    )
    model = recurrent()
    BC(model, recalled(), config).learn()
    assert evaluate(model, model.get_env(), 12, seed=3, label=None).returns.tolist() == 12 * [5.0]


def test_a_sequence_starts_with_the_memory_of_all_earlier_steps() -> None:
    model, shown = recurrent(n_lstm_layers=2), recalled()
    bc = BC(model, shown, BCConfig(sequence=2))
    batch = bc._split()[0].draw(60)
    assert set(batch.earlier_lengths) == {0, 2, 4}
    assert all(
        length == (1 if earlier == 4 else 2)
        for length, earlier in zip(batch.lengths, batch.earlier_lengths, strict=True)
    )
    with torch.no_grad():
        found = recurrent_distribution(model.policy, batch, bc.inputs).distribution.logits
    rows, earlier = list(batch.observations.split(batch.lengths)), list(batch.earlier.split(batch.earlier_lengths))
    expected = []
    for now, before in zip(rows, earlier, strict=True):
        state = tuple(torch.zeros(2, 1, 16) for _ in range(2))
        outputs = []
        for number, row in enumerate(torch.cat([before, now])):
            with torch.no_grad():
                given, state = model.policy.get_distribution(row[None], state, torch.tensor([float(number == 0)]))
            outputs.append(given.distribution.logits)
        expected += outputs[len(before) :]
    torch.testing.assert_close(found, torch.cat(expected))


def test_a_recurrent_policy_needs_whole_episodes() -> None:
    with pytest.raises(InputError, match="whole episodes for a recurrent policy"):
        BC(recurrent(), recalled().every(2))
    with pytest.raises(InputError, match="two episodes or more for a recurrent policy"):
        BC(recurrent(), recalled().first(1))


def test_a_policy_of_masked_actions_is_cloned_with_all_of_them_allowed() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = make_vec("CartPole-v1", 2, env_kwargs={"max_episode_steps": 100})
    model = contrib.MaskablePPO("MlpPolicy", env, n_steps=8, seed=0, device="cpu")
    BC(model, Demonstrations.record(Balancer(), env, 4), QUICK).learn()
    assert evaluate(model, env, 2, seed=9, label=None).returns.tolist() == [100.0, 100.0]


@pytest.mark.parametrize("entries", [False, True])
def test_under_a_vec_normalize_the_policy_learns_what_it_will_see(entries: bool) -> None:
    keys = ["gauge"] if entries else None
    inner = colors(entries=True) if entries else make_vec("CartPole-v1", 2, env_kwargs={"max_episode_steps": 100})
    env = VecNormalize(inner, norm_reward=False, norm_obs_keys=keys)
    shown = Demonstrations.record(Names() if entries else Balancer(), inner, 6)
    model = ppo("MultiInputPolicy" if entries else "MlpPolicy", env)
    BC(model, shown, QUICK if not entries else BCConfig(max_updates=4, check_every=2, plain_below=0.0)).learn()
    raw = shown.observations["gauge"] if entries else shown.observations
    statistics = env.obs_rms["gauge"] if entries else env.obs_rms
    np.testing.assert_allclose(statistics.mean, raw.mean(0), atol=1e-3)
    np.testing.assert_allclose(statistics.var, raw.var(0), rtol=1e-3, atol=1e-3)
    seen = PolicyInputs(model)(shown.transitions().observations)
    expected = env.normalize_obs(dict(shown.observations) if entries else np.array(shown.observations))
    pairs = [(seen["gauge"], expected["gauge"])] if entries else [(seen, expected)]
    assert all(np.array_equal(ours.numpy(), theirs) for ours, theirs in pairs)
    if not entries:
        env.training = False
        assert evaluate(model, env, 2, seed=9, label=None).returns.tolist() == [100.0, 100.0]


def test_a_vec_normalize_that_does_not_train_keeps_its_statistics_and_a_failed_cloning_too() -> None:
    inner = make_vec("CartPole-v1", 2)
    shown = Demonstrations.record(Balancer(), inner, 2)
    for training in (False, True):
        env = VecNormalize(inner, training=training)
        env.obs_rms.mean[:] = 3.0
        bc = BC(ppo("MlpPolicy", env), shown, BCConfig(max_updates=4, check_every=2))
        if training:
            bc.batch = replace(bc.batch, observations=torch.full_like(bc.batch.observations, torch.nan))
            with pytest.raises(InputError, match="learning rate"):
                bc.learn()
        else:
            bc.learn()
        assert env.obs_rms.mean.tolist() == 4 * [3.0]


SMALL = "--bc.max-updates 20 --bc.check-every 10 --bc.plain-below 0 --bc.batch-size 16 --hidden 8 --episodes 2"


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary"])
def test_a_run_on_images_or_dictionaries_is_trained_resumed_evaluated_and_published(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], stop_after: Any
) -> None:
    task, demos, run = f"test/{kind}-v0", tmp_path / "demos.npz", tmp_path / "run"
    Demonstrations.record(Walker(), make_vec(task, 4), 8).save(demos)
    assert main(["demos", "inspect", str(demos)]) == 0
    shown = capsys.readouterr().out
    assert "image 7 x 7 x 3, 0 to " in shown
    assert ("discrete 1, 0 to 3" in shown) == (kind == "GridDictionary")
    options = ["--env", task, "--demos", str(demos), "--out", str(run), "--device", "cpu", "--no-video"]
    with stop_after(10):
        assert main(["train", "bc", *options, *SMALL.split()]) == 130
    assert main(["resume", str(run)]) == 0
    trained = Result.read(run).returns
    assert main(["evaluate", str(run), "--episodes", "2"]) == 0
    assert main(["publish", str(run), "--to", str(tmp_path / "published")]) == 0
    assert main(["evaluate", str(tmp_path / "published"), "--out", str(tmp_path / "again.json")]) == 0
    assert f'"return_mean": {trained.return_mean}' in (tmp_path / "again.json").read_text()
    again = tmp_path / "again.hdf5"
    record = ["demos", "record", "--policy", str(run), "--env", task, "--out", str(again), "--episodes", "2"]
    assert main(record) == 0
    assert main(["demos", "convert", str(again), str(tmp_path / "again.npz")]) == 0
    assert Demonstrations.load(tmp_path / "again.npz").fingerprint == Demonstrations.load(again).fingerprint


def test_a_task_with_texts_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"texts under 'caption'; .*FilterObservation\(env, \['direction', 'image'\]\)"
    ):
        make_vec("test/GridCaption-v0", 1)
