"""Rounds on a device wait for nothing from the first action to the last gradient; recordings change nothing."""

from contextlib import ExitStack
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from rlgen.agents import GAIL, VIME, Curiosity, DevicePPO, Explorer, GAILConfig, LearnerConfig
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode, Transitions, Visits
from rlgen.data.visits import axes_within
from rlgen.envs import WarpOptions, make_vec
from rlgen.nn import PenaltyConfig
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.rewards import Adversarial, AdversarialConfig, InformationGain, InformationGainConfig, ReturnNormalizer
from rlgen.rewards.absorbing_states import AbsorbingStates
from rlgen.rewards.discriminator_network import GENERATIVE
from rlgen.sb3.coverage import Coverage

from ..no_waiting import DEVICES, no_waiting
from .worlds import aiming

PENALTIES: list[dict[str, Any]] = [
    {}, {"gradient": 0.0}, {"r1": 1.0}, {"entropy": 1e-3}, {"spectral_norm": True}, {"bottleneck": 0.5},
    {"quantize": 8}, {"historical_average": 1.0}, {"proximal": 0.1}, {"input_dropout": 0.2}, {"hidden_dropout": 0.5},
    {"gradient": 0.0, "fgsm": 0.1},
]  # fmt: skip
CURIOUS: dict[str, Curiosity[Any]] = {name: kind() for name, kind in CURIOSITIES.items()}
CURIOUS |= {
    "flow": VIME(InformationGainConfig(pool_size=80, posterior="flow")),
    "compression": VIME(InformationGainConfig(gain="compression")),
    "likelihood": VIME(InformationGainConfig(likelihood="learned")),
}  # the first-order gain makes an optimizer for each rollout, and that counts on the host
LEARNER = LearnerConfig(n_steps=10, batch_size=40, hidden=(8,))


def learner(device: str) -> DevicePPO:
    env = (
        aiming() if device == "cpu" else make_vec("HalfCheetah-v5", 8, backend="warp", warp=WarpOptions(device=device))
    )
    model = make_model(LEARNER, env, 0, device)
    assert isinstance(model, DevicePPO)
    return model


def demonstrations(model: DevicePPO) -> Demonstrations:
    rng = np.random.default_rng(0)
    observed, acted = (space.shape[0] for space in (model.observation_space, model.action_space))  # type: ignore[index]
    episode = Episode(
        observations=rng.normal(size=(31, observed)).astype(np.float32),
        actions=rng.uniform(-1, 1, (30, acted)).astype(np.float32),
    )
    return Demonstrations.from_episodes([episode], env_id=model.get_env().env_id)  # type: ignore[union-attr]


class Learning(BaseCallback):
    """In the rounds after the fourth, when what can be is recorded, nothing may wait until numbers are logged."""

    def __init__(self, model: DevicePPO) -> None:
        super().__init__()
        self.rounds, self.block = 0, ExitStack()
        log = model._log

        def leave_and_log(values: dict[str, Tensor]) -> None:
            self.block.close()
            log(values)

        model._log = leave_and_log  # type: ignore[method-assign]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.rounds += 1
        if self.rounds > 4:
            self.block.enter_context(no_waiting(self.model.device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["gail", "vime", "scaled", "counted", "tuned"])
def test_a_round_waits_for_nothing(device: str, kind: str) -> None:
    model = learner(device)
    watch = Learning(model)
    if kind == "gail":
        discriminator = AdversarialConfig(hidden=(8,), batch_size=16, final_rate=0.1)
        config = GAILConfig(discriminator=discriminator, warm_start=False)
        agent: GAIL | Explorer = GAIL(model, demonstrations(model), config)
    else:
        eta: Any = "auto" if kind == "tuned" else None
        vime = VIME(InformationGainConfig(pool_size=80), eta=eta)  # which is full before nothing may wait
        curious = [vime, CURIOSITIES["lbs"]()] if kind == "scaled" else [vime]
        scale = ReturnNormalizer(model.gamma, model.n_envs) if kind == "scaled" else None
        axes = axes_within(model.observation_space.low, model.observation_space.high)  # type: ignore[attr-defined]
        agent = Explorer(model, curious, Coverage(Visits(axes)) if kind == "counted" else None, scale)
    try:
        agent.learn(7 * 80, watch)
    finally:
        watch.block.close()
    assert watch.rounds == 7


def batch(device: str, n: int = 80) -> Transitions:
    rows = (torch.randn(n, 2), torch.rand(n, 2) * 2 - 1, torch.randn(n, 2))
    never = torch.zeros(n, dtype=torch.bool)
    return Transitions(*rows, never, never).to(device)


def update_without_waiting(source: Any, device: str) -> dict[str, Tensor]:
    for _ in range(2):
        source.update(batch(device))
    rows = batch(device)
    with no_waiting(device):
        measured = source.update(rows)
        source.reward(rows)
    return measured


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_discriminators_update_waits_for_nothing(device: str, penalty: dict[str, Any]) -> None:
    discriminator = AdversarialConfig(hidden=(8,), batch_size=16, normalizer="running", divergence="wasserstein")
    if not penalty.get("gradient", 1.0):
        discriminator = AdversarialConfig(hidden=(8,), batch_size=16, zero="lowest")
    source = source_of(
        GAILConfig(discriminator=discriminator, penalties=PenaltyConfig(**{"gradient": 1.0, **penalty})), device
    )
    assert update_without_waiting(source, device)["loss"].isfinite()


@pytest.mark.parametrize("device", DEVICES)
def test_absorbing_states_wait_for_nothing(device: str) -> None:
    source = source_of(GAILConfig(discriminator=AdversarialConfig(hidden=(8,), batch_size=16)), device)
    source.absorbing = AbsorbingStates(
        divergence=source.divergence, gamma=0.9, expert_ends=3, expert_steps=30, device=device
    )
    assert update_without_waiting(source, device)["loss"].isfinite()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", GENERATIVE)
def test_the_update_of_a_generative_discriminator_waits_for_nothing(device: str, network: Any) -> None:
    discriminator = AdversarialConfig(hidden=(8,), batch_size=16, network=network)
    assert update_without_waiting(source_of(GAILConfig(discriminator=discriminator), device), device)["loss"].isfinite()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CURIOUS)
def test_a_curiositys_update_waits_for_nothing(device: str, name: str) -> None:
    found = update_without_waiting(curious_source(name, device), device)
    assert all(value.isfinite() for value in found.values())


def source_of(config: GAILConfig, device: str) -> Any:
    torch.manual_seed(0)
    rows = batch(device, 30)
    task = SimpleNamespace(
        observation_space=spaces.Box(-9, 9, rows.observations.shape[1:]), action_space=spaces.Box(-1, 1, (2,))
    )
    return Adversarial(rows, task, config.discriminator, config.penalties.chosen())


def curious_source(name: str, device: str) -> Any:
    torch.manual_seed(0)
    model = make_model(LEARNER, aiming(), 0)
    model.device = torch.device(device)  # where a source's networks are made
    return type(CURIOUS[name])(CURIOUS[name].config).begin(model).source


@pytest.mark.gpu
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_recorded_discriminator_learns_what_an_unrecorded_one_does(
    penalty: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    discriminator = AdversarialConfig(hidden=(8,), batch_size=16, learning_rate=1e-2, updates_per_rollout=12)
    config = GAILConfig(discriminator=discriminator, penalties=PenaltyConfig(**{"gradient": 1.0, **penalty}))
    recorded = learned_by(source_of(config, "cuda"))
    monkeypatch.setattr(CudaGraphStep, "__call__", lambda self, *rows: self.step(*rows))
    # A penalty remembers its network, so each has its own.
    config = GAILConfig(discriminator=discriminator, penalties=PenaltyConfig(**{"gradient": 1.0, **penalty}))
    torch.testing.assert_close(recorded, learned_by(source_of(config, "cuda")), atol=1e-5, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CURIOUS)
def test_a_recorded_curiosity_learns_what_an_unrecorded_one_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = learned_by(curious_source(name, "cuda"))
    monkeypatch.setattr(CudaGraphStep, "__call__", lambda self, *rows: self.step(*rows))
    torch.testing.assert_close(recorded, learned_by(curious_source(name, "cuda")), atol=1e-5, rtol=1e-4)


def learned_by(source: Any) -> Tensor:
    """The parameters after three updates, with the state saved and loaded again before the last."""
    torch.manual_seed(1)
    for number in range(3):
        if number == 2:
            source.load_state_dict(deepcopy(source.state_dict()))
        source.update(batch("cuda"))
    network = source.model if isinstance(source, InformationGain) else getattr(source, "networks", None)
    parameters = (source.network if network is None else network).parameters()
    return torch.cat([each.detach().flatten() for each in parameters])
