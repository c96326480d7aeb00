"""Rounds on a device wait for nothing from the first action to the last gradient; recordings change nothing."""

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from rlgen.agents import GAIL, VIME, DevicePPO, GAILConfig, LearnerConfig
from rlgen.agents.curiosity import CURIOSITIES, Curiosity
from rlgen.agents.explorer import Explorer
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations
from rlgen.data.rows import Episode
from rlgen.data.transitions import Transitions
from rlgen.envs import make_vec
from rlgen.rewards.adversarial import Adversarial, AdversarialConfig
from rlgen.rewards.information_gain import InformationGainConfig
from rlgen.rewards.scale import ReturnScale

from ..no_waiting import DEVICES, no_waiting
from .worlds import aiming

PENALTIES: list[dict[str, Any]] = [
    {}, {"gradient_penalty": 0.0}, {"r1": 1.0}, {"entropy": 1e-3}, {"spectral_norm": True}, {"bottleneck": 0.5},
    {"quantise": 8}, {"historical_average": 1.0},
]  # fmt: skip
CURIOUS: dict[str, Curiosity[Any]] = {name: kind() for name, kind in CURIOSITIES.items()}
CURIOUS |= {
    "flow": VIME(InformationGainConfig(posterior="flow")),
    "compression": VIME(InformationGainConfig(gain="compression")),
    "likelihood": VIME(InformationGainConfig(learn_likelihood=True)),
}  # the first-order gain makes an optimiser for each rollout, and that counts on the host
LEARNER = LearnerConfig(n_steps=10, batch_size=40, hidden=(8,))


def learner(device: str) -> DevicePPO:
    env = aiming() if device == "cpu" else make_vec("HalfCheetah-v5", 8, backend="warp", device=device)
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
    """From the start of the third round on, when all is recorded, until numbers are logged nothing may wait."""

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
        if self.rounds > 2:
            self.block.enter_context(no_waiting(self.model.device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["gail", "vime", "both scaled"])
def test_a_round_waits_for_nothing(device: str, kind: str) -> None:
    model = learner(device)
    watch = Learning(model)
    if kind == "gail":
        discriminator = AdversarialConfig(hidden=(8,), batch_size=16, final_rate=0.1)
        config = GAILConfig(discriminator=discriminator, warm_start=False)
        agent: GAIL | Explorer = GAIL(model, demonstrations(model), config)
    else:
        scale = ReturnScale(model.gamma, model.n_envs) if kind == "both scaled" else None
        agent = Explorer(model, [VIME(), CURIOSITIES["rnd"]()] if scale else [VIME()], scale=scale)
    try:
        agent.learn(5 * 80, watch)
    finally:
        watch.block.close()
    assert watch.rounds == 5


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
    discriminator = AdversarialConfig(hidden=(8,), batch_size=16, normaliser="running", divergence="wasserstein")
    if not penalty.get("gradient_penalty", 1.0):
        discriminator = AdversarialConfig(hidden=(8,), batch_size=16, zero="lowest")
    source = source_of(GAILConfig(discriminator=discriminator, **penalty), device)
    assert update_without_waiting(source, device)["loss"].isfinite()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CURIOUS)
def test_a_curiositys_update_waits_for_nothing(device: str, name: str) -> None:
    source = CURIOUS[name].begin(curious_model(device)).source
    assert update_without_waiting(source, device)["loss"].isfinite()


def source_of(config: GAILConfig, device: str) -> Any:
    torch.manual_seed(0)
    bounds = -torch.ones(2), torch.ones(2)
    return Adversarial(batch(device, 30), *bounds, config.discriminator, config.penalties())


def curious_model(device: str) -> Any:
    model = make_model(LEARNER, aiming(), 0)
    model.device = torch.device(device)  # where a source's networks are made
    return model


@pytest.mark.gpu
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_recorded_discriminator_learns_what_an_unrecorded_one_does(penalty: dict[str, Any]) -> None:
    discriminator = AdversarialConfig(hidden=(8,), batch_size=16, learning_rate=1e-2)
    found = []
    for recorded in (True, False):
        source = source_of(GAILConfig(discriminator=discriminator, **penalty), "cuda")
        if not recorded:
            source._recorded = source.step
        torch.manual_seed(1)
        source.update(batch("cuda"))
        found.append((source._recorded, torch.cat([each.flatten() for each in source.network.parameters()])))
    assert found[0][0]._graph is not None, "nothing was recorded"
    # Random numbers inside a recording are others than outside.
    tolerance = 1e-5 if penalty in ({"gradient_penalty": 0.0}, {"entropy": 1e-3}) else 5e-2
    torch.testing.assert_close(found[0][1], found[1][1], atol=tolerance, rtol=1e-3)
