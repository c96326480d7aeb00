import base64
import io
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from rlgen.errors import InputError
from rlgen.sb3 import load_policy, normalized_policy
from rlgen.sb3.features import fit_normalizer

OBSERVATION = spaces.Box(-np.inf, np.inf, (5,))
ACTION = spaces.Box(np.array([-0.4, -2.0], np.float32), np.array([0.4, 1.0], np.float32))


class Still(gym.Env):
    """Spaces are all that a model needs at construction."""

    observation_space, action_space = OBSERVATION, ACTION


def saved(algorithm: type[BaseAlgorithm], folder: Path, **options: Any) -> tuple[BaseAlgorithm, Path]:
    """A model with random weights and biases (SB3 starts some biases at 0, where a mistake would not show)."""
    off_policy = {"buffer_size": 10} if algorithm.__name__ in ("SAC", "TD3", "DDPG", "TQC", "CrossQ") else {}
    model = algorithm("MlpPolicy", Still(), device="cpu", seed=0, **off_policy, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in model.policy.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save(folder / "model.zip")
    return model, folder / "model.zip"


def random_observations(n: int = 64) -> np.ndarray:
    return (3 * np.random.default_rng(0).normal(size=(n, 5))).astype(np.float32)


def assert_acts_alike(model: BaseAlgorithm, path: Path) -> None:
    loaded, observations = load_policy(path, OBSERVATION, ACTION), random_observations()
    for deterministic in (True, False):
        acted = []
        for policy in (model, loaded):
            torch.manual_seed(1)
            acted.append(policy.predict(observations, deterministic=deterministic)[0])
        assert np.array_equal(*acted)
    assert np.ptp(acted[0], axis=0).min() > 0.1, "the actions must differ for the comparison to mean something"
    one, _ = loaded.predict(observations[0], deterministic=True)
    assert np.allclose(one, model.predict(observations[0], deterministic=True)[0])


@pytest.mark.parametrize("algorithm", [PPO, A2C, SAC, TD3, DDPG])
def test_a_loaded_policy_acts_as_the_model_did(algorithm: type[BaseAlgorithm], tmp_path: Path) -> None:
    assert_acts_alike(*saved(algorithm, tmp_path))


@pytest.mark.parametrize("name", ["TRPO", "TQC", "CrossQ"])
def test_a_loaded_contrib_policy_acts_as_the_model_did(name: str, tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    assert_acts_alike(*saved(getattr(contrib, name), tmp_path))


@pytest.mark.parametrize(
    ("algorithm", "net_arch"),
    [(PPO, {"pi": [7], "vf": [9, 8, 7]}), (PPO, []), (SAC, {"pi": [6, 5, 4], "qf": [3]}), (SAC, []), (TD3, [11])],
)
@pytest.mark.parametrize("activation", [nn.ELU, nn.ReLU, nn.Tanh])
def test_sizes_and_activation_come_from_the_file(
    algorithm: type[BaseAlgorithm], net_arch: Any, activation: type[nn.Module], tmp_path: Path
) -> None:
    assert_acts_alike(*saved(algorithm, tmp_path, policy_kwargs={"net_arch": net_arch, "activation_fn": activation}))


def test_an_activation_of_someone_s_own_is_refused(tmp_path: Path) -> None:
    class Own(nn.Tanh):
        pass

    _, path = saved(PPO, tmp_path, policy_kwargs={"activation_fn": Own})
    with pytest.raises(InputError, match=r"an activation among Tanh.*got .*Own"):
        load_policy(path, OBSERVATION, ACTION)


def test_rlgen_s_own_normalizer_within_the_policy_is_applied(tmp_path: Path) -> None:
    model, path = saved(PPO, tmp_path, policy_kwargs=normalized_policy([16], log_std_init=-1.0))
    assert fit_normalizer(model.policy, 5 + 2 * torch.randn(100, 5))
    model.save(path)
    assert_acts_alike(model, path)


@pytest.mark.parametrize("algorithm", [SAC, TD3])
def test_rlgen_s_own_normalizer_is_applied_to_off_policy_actors(algorithm: type[BaseAlgorithm], tmp_path: Path) -> None:
    arguments = {"features_extractor_class": normalized_policy([16])["features_extractor_class"]}
    model, path = saved(algorithm, tmp_path, policy_kwargs=arguments)
    assert fit_normalizer(model.policy.actor, 5 + 2 * torch.randn(100, 5))  # type: ignore[arg-type]
    model.save(path)
    assert_acts_alike(model, path)


# statistics beside the model


def normalizing() -> VecNormalize:
    env = VecNormalize(DummyVecEnv([Still]), clip_obs=1.5)
    env.obs_rms.mean[:], env.obs_rms.var[:] = np.arange(5), 1 + np.arange(5)  # type: ignore[union-attr]
    return env


def as_json(env: VecNormalize) -> str:
    rms = env.obs_rms
    return json.dumps(
        {"mean": rms.mean.tolist(), "var": rms.var.tolist(), "clip": env.clip_obs, "epsilon": env.epsilon}  # type: ignore[union-attr]
    )


def test_statistics_as_json_do_what_vecnormalize_does(tmp_path: Path) -> None:
    (model, path), env, observations = saved(PPO, tmp_path), normalizing(), random_observations()
    (tmp_path / "normaliser.json").write_text(as_json(env))
    (tmp_path / "vecnormalize.pkl").write_bytes(b"never opened")
    expected = model.predict(env.normalize_obs(observations), deterministic=True)[0]
    found = load_policy(path, OBSERVATION, ACTION).predict(observations, deterministic=True)[0]
    assert np.array_equal(found, expected)
    (tmp_path / "normaliser.json").rename(tmp_path / "other.json")
    given = load_policy(path, OBSERVATION, ACTION, tmp_path / "other.json")
    assert np.array_equal(given.predict(observations, deterministic=True)[0], expected)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "JSON with the keys mean, var, clip and epsilon"),
        ("[" * 100_000, "JSON with the keys"),
        ('{"mean": [0, 0], "var": [1, 1], "clip": 5, "epsilon": 1e-8}', "5 numbers under mean and var"),
        ('{"mean": [0,0,0,0,NaN], "var": [1,1,1,1,1], "clip": 5, "epsilon": 1e-8}', "finite mean"),
        ('{"mean": [0,0,0,0,0], "var": [1,1,1,1,1], "clip": 5}', "epsilon"),
    ],
)
def test_unusable_statistics_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    _, path = saved(PPO, tmp_path)
    (tmp_path / "normaliser.json").write_text(content)
    with pytest.raises(InputError, match=complaint):
        load_policy(path, OBSERVATION, ACTION)


# files that want to run code


class Payload:
    """Unpickling this makes a file: proof that code ran."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def rewritten(path: Path, **members: bytes) -> Path:
    """The archive with some members replaced; `policy` stands for policy.pth."""
    target = path.with_name("rewritten.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.get(name.removesuffix(".pth"), old.read(name)))
    return target


def test_pickles_in_the_description_are_not_run(tmp_path: Path) -> None:
    model, path = saved(SAC, tmp_path)
    mark = tmp_path / "code-ran"
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    evil = base64.b64encode(pickle.dumps(Payload(mark))).decode()
    for entry in data.values():
        if isinstance(entry, dict) and ":serialized:" in entry:
            entry[":serialized:"] = evil
    path = rewritten(path, data=json.dumps(data).encode())
    assert_acts_alike(model, path)
    assert not mark.exists()
    with pytest.raises(ValueError, match="not a Gymnasium"):
        SAC.load(path)
    assert mark.exists(), "Stable-Baselines3 runs it, so the test would have noticed"


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_among_the_tensors_are_not_run(tmp_path: Path, zipped: bool) -> None:
    _, path = saved(PPO, tmp_path)
    mark, file = tmp_path / "code-ran", io.BytesIO()
    torch.save({"log_std": Payload(mark)}, file, _use_new_zipfile_serialization=zipped)
    path = rewritten(path, policy=file.getvalue())
    with pytest.raises(InputError, match=r"such objects are never opened, as they can run any code"):
        load_policy(path, OBSERVATION, ACTION)
    assert not mark.exists()
    torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    assert mark.exists(), "torch's other unpickler runs it, so the test would have noticed"


# files and spaces that do not fit


def test_an_environment_of_another_size_is_refused(tmp_path: Path) -> None:
    for algorithm in (PPO, SAC, TD3):
        _, path = saved(algorithm, tmp_path)
        with pytest.raises(InputError, match=r"of 6 observation and 2 action dimensions.*; got one of 5 and 2 in"):
            load_policy(path, spaces.Box(-1, 1, (6,)), ACTION)
        with pytest.raises(InputError, match="of 5 observation and 3 action dimensions"):
            load_policy(path, OBSERVATION, spaces.Box(-1, 1, (3,)))
    for algorithm in (PPO, SAC, TD3):
        _, path = saved(algorithm, tmp_path)
        with pytest.raises(InputError, match=r"an action space of .* \(Box\).*; got Discrete"):
            load_policy(path, OBSERVATION, spaces.Discrete(2))


def test_another_action_range_than_in_training_is_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, path = saved(SAC, tmp_path)
    with caplog.at_level(logging.WARNING, "rlgen"):
        load_policy(path, OBSERVATION, ACTION)
        assert caplog.text == ""
        load_policy(path, OBSERVATION, spaces.Box(-1, 1, (2,)))
    assert "the action space of training, low = [-0.4 -2. ]" in caplog.text


def test_a_cut_model_and_another_zip_are_refused(tmp_path: Path) -> None:
    _, path = saved(PPO, tmp_path)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(path.read_bytes()[:2000])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    for file in (cut, tmp_path / "other.zip"):
        with pytest.raises(InputError, match=r"a model saved by Stable-Baselines3: .*; save it again"):
            load_policy(file, OBSERVATION, ACTION)
    with pytest.raises(InputError, match="which does not exist"):
        load_policy(tmp_path / "absent.zip", OBSERVATION, ACTION)


def test_a_damaged_weights_file_is_refused(tmp_path: Path) -> None:
    _, path = saved(PPO, tmp_path)
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("policy.pth")
    for damaged in (b"", weights[: len(weights) // 2], b"junk"):
        with pytest.raises(InputError, match="a damaged file or other objects"):
            load_policy(rewritten(path, policy=damaged), OBSERVATION, ACTION)


def test_tensors_that_are_larger_than_their_memory_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    model, path = saved(PPO, tmp_path)
    for wrong in (torch.zeros(1).expand(10**7, 10**6), torch.zeros(10**3).as_strided((500, 500), (1, 1))):
        file = io.BytesIO()
        torch.save({**model.policy.state_dict(), "mlp_extractor.policy_net.2.weight": wrong}, file)
        with pytest.raises(InputError, match="tensors that store all their elements"):
            load_policy(rewritten(path, policy=file.getvalue()), OBSERVATION, ACTION)


def test_what_unpacks_to_more_than_its_size_allows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", b" " * (300 * 2**20))
        archive.writestr("policy.pth", b"")
    with pytest.raises(InputError, match=r"at most .* on disk; got 300\.0 MiB for what .*bomb\.zip holds"):
        load_policy(path, OBSERVATION, ACTION)


@pytest.mark.parametrize("tensors", [{5: torch.zeros(1)}, {"a": 5}, [torch.zeros(1)]])
def test_tensors_without_names_are_refused(tensors: Any, tmp_path: Path) -> None:
    _, path = saved(PPO, tmp_path)
    file = io.BytesIO()
    torch.save(tensors, file)
    with pytest.raises(InputError, match="a dictionary of tensors by name"):
        load_policy(rewritten(path, policy=file.getvalue()), OBSERVATION, ACTION)


def test_a_description_without_an_end_and_unknown_compression_are_refused(tmp_path: Path) -> None:
    _, path = saved(PPO, tmp_path)
    with pytest.raises(InputError, match="JSON under 'data'"):
        load_policy(rewritten(path, data=b"[" * 100_000), OBSERVATION, ACTION)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        place = content.find(signature)
        while place >= 0:
            content[place + offset : place + offset + 2] = b"\x63\x00"
            place = content.find(signature, place + 1)
    (tmp_path / "packed.zip").write_bytes(content)
    with pytest.raises(InputError, match="something else, cut or damaged"):
        load_policy(tmp_path / "packed.zip", OBSERVATION, ACTION)


@pytest.mark.parametrize("algorithm", [PPO, SAC, TD3])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(algorithm: type[BaseAlgorithm], value: float, tmp_path: Path) -> None:
    model, path = saved(algorithm, tmp_path)
    with torch.no_grad():
        next(iter((model.policy if algorithm is PPO else model.policy.actor).parameters()))[..., 0] = value  # type: ignore[union-attr]
    model.save(path)
    with pytest.raises(InputError, match=r"finite weights; got NaN or infinity in .*; use an earlier checkpoint"):
        load_policy(path, OBSERVATION, ACTION)
