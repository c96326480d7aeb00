"""The state of an agent and of its environment is tensors and JSON values, which torch reads unpickled."""

import io
from typing import Any

import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO, SAC, TD3
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise

from rlgen.agents import BC, Explorer, session
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.data import Visits
from rlgen.data.visits import Axis
from rlgen.envs import make_vec
from rlgen.generators import GENERATORS, ImageShape, Trainer, TrainerConfig
from rlgen.rewards import ReturnNormalizer
from rlgen.sb3 import model_state
from rlgen.sb3.coverage import Coverage

ON_POLICY = (PPO, A2C, TRPO)


def require_plain(state: dict[str, Any]) -> None:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    assert torch.load(file, weights_only=True).keys() == state.keys()


@pytest.mark.parametrize(
    ("kind", "options"), [("gail", ()), ("infogail", ()), ("rl", ()), ("vime", ("--learner.algorithm", "sac"))]
)
def test_the_state_of_a_training_is_plain(
    rlgen_train, no_finish, monkeypatch: pytest.MonkeyPatch, kind: str, options: tuple[str, ...]
) -> None:
    saved: list[dict[str, Any]] = []
    monkeypatch.setattr(session, "save_checkpoint", lambda folder, step, state, **how: saved.append(state))
    env = ("--env", "Pendulum-v1") if kind in ("rl", "vime") else ()
    assert rlgen_train(kind, "--steps", "128", "--evaluate-every", "0", *env, *options) == 0
    for name, part in saved[-1].items():
        if name != "rng" and isinstance(part, dict):
            require_plain(part)


@pytest.mark.parametrize("name", sorted(CURIOSITIES))
@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_the_state_of_every_curiosity_is_plain(name: str, algorithm: type) -> None:
    if CURIOSITIES[name].needs_rollouts() and algorithm is SAC:
        pytest.skip("for on-policy models")
    settings: dict[str, Any] = {"device": "cpu", "policy_kwargs": {"net_arch": [4]}}
    settings |= {"n_steps": 32, "batch_size": 32, "n_epochs": 1} if algorithm is PPO else {"learning_starts": 10}
    model = algorithm("MlpPolicy", make_vec("rlgen/SparseMountainCar-v0", 2), **settings)
    coverage = Coverage(Visits([Axis(name="position", columns=(0,), width=0.5, low=-1.0, high=1.0)]))
    scale = ReturnNormalizer(0.9, 2) if algorithm is PPO else None
    explorer = Explorer(model, [CURIOSITIES[name](update_every=20)], coverage, scale).learn(64)
    require_plain(explorer.state_dict())
    require_plain(model.get_env().state_dict())


@pytest.mark.parametrize("algorithm", [*ON_POLICY, SAC, TD3])
@pytest.mark.parametrize("env_id", ["Pendulum-v1", "InvertedPendulum-v5"])
def test_the_state_of_every_learner_is_plain(algorithm: type, env_id: str) -> None:
    settings: dict[str, Any] = {"n_steps": 8} if algorithm in ON_POLICY else {"learning_starts": 10}
    if algorithm in (PPO, TRPO):
        settings["batch_size"] = 16
    if algorithm is TD3:
        settings["action_noise"] = OrnsteinUhlenbeckActionNoise(torch.zeros(1).numpy(), torch.ones(1).numpy())
    env = make_vec(env_id, 2, backend="gymnasium")
    model = algorithm("MlpPolicy", env, device="cpu", policy_kwargs={"net_arch": [4]}, **settings).learn(32)
    require_plain(model_state(model))
    if env.can_resume:
        require_plain(env.state_dict())


def test_what_a_cloned_policy_is_saved_as_is_plain(point_ppo, point_demonstrations) -> None:
    require_plain(BC(point_ppo(), point_demonstrations).policy.state_dict())


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_the_state_of_every_image_model_is_plain(name: str) -> None:
    shape = ImageShape(channels=1, height=28, width=28, n_classes=10)
    kind = GENERATORS[name]
    game = Trainer(kind(shape, kind.config_type()), TrainerConfig(average=0.9))
    require_plain(game.state_dict())
