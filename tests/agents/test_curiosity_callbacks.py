"""Curiosities from settings in a file: a class by its name, made from plain values."""

import importlib
from typing import Any

import numpy as np
import pytest
import yaml
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from rlgen import agents
from rlgen.agents import GAIL, VIME, GAILConfig
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig, InformationGainConfig

ZOO = """
Pendulum-v1:
  n_timesteps: 60
  policy: MlpPolicy
  callback:
    - rlgen.agents.VIME:
        eta: 0.5
        final_eta: 0.1
        update_every: 20
        config:
          hidden: [4]
          updates_per_rollout: 2
          activation: tanh
    - rlgen.agents.RND
"""
QUICK = InformationGainConfig(updates_per_rollout=5, batch_size=16, hidden=(4,))


def callbacks_of(settings: dict[str, Any]) -> list[BaseCallback]:
    """As rl-baselines3-zoo makes them: the class that a dotted name leads to, called with the keyword arguments."""
    made = []
    for entry in settings["callback"]:
        ((name, keywords),) = entry.items() if isinstance(entry, dict) else [(entry, {})]
        module, _, kind = name.rpartition(".")
        made.append(getattr(importlib.import_module(module), kind)(**keywords))
    return made


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_a_zoo_file_names_the_curiosities_and_their_settings(algorithm: type) -> None:
    first, second = callbacks_of(yaml.safe_load(ZOO)["Pendulum-v1"])
    more = {"n_steps": 20, "batch_size": 20} if algorithm is PPO else {"learning_starts": 30, "buffer_size": 100}
    model = algorithm("MlpPolicy", make_vec_env("Pendulum-v1", 1, seed=0), device="cpu", **more)
    model.learn(60, [first, second], log_interval=10)
    vime = first
    assert (vime.eta, vime.final_eta, vime.steps.enough) == (0.5, 0.1, 20)
    assert vime.config == InformationGainConfig(hidden=(4,), updates_per_rollout=2, activation="tanh")
    assert vime.source.unit.merged == 3
    assert second.eta == agents.RND().eta


def test_a_callback_may_be_told_twice_that_the_training_is_over() -> None:
    """The zoo tells the first one again, also after a Ctrl-C."""
    callback = VIME()
    model = SAC("MlpPolicy", make_vec_env("Pendulum-v1"), learning_starts=10, buffer_size=100, device="cpu")
    before = model.replay_buffer
    model.learn(20, callback)
    callback.on_training_end()
    assert model.replay_buffer is before


def test_every_curiosity_can_be_named_in_a_file() -> None:
    for kind in CURIOSITIES.values():
        made = getattr(agents, kind.__name__)({"highest": 3.0}, eta=0.25)
        assert type(made) is kind
        assert (made.eta, made.config.highest) == (0.25, 3.0)


def test_earlier_spellings_work_and_say_what_is_written_now() -> None:
    with pytest.warns(DeprecationWarning, match="VIME from now on"):
        assert agents.VIMECallback is VIME
    vime = VIME()
    with pytest.warns(DeprecationWarning, match="the curiosity itself"):
        assert vime.callback() is vime
    with pytest.raises(AttributeError, match="GAILCallback"):
        _ = agents.GAILCallback


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ("{config: {hiden: [4]}}", "hidden, activation.*'hiden'"),
        ("{eta: 1e-3}", "a number or auto or none for eta.*'1e-3'.*YAML"),
        ("{config: {learning_rate: 1e-3}}", "a number for learning_rate.*YAML"),
        ("{config: {samples: 0}}", "positive.* samples"),
        ("{eta: -1}", "eta of at least 0"),
        ("{update_every: 0}", "1 step or more"),
        ("{config: {hidden: 64}}", "a list of whole numbers for hidden; got 64;"),
        ('{config: {hidden: ["64"]}}', "a list of whole numbers for hidden; .*'64'"),
        ("{eta: [1]}", "a number or auto or none for eta; "),
        ("{eta: true}", "a number or auto or none for eta; got True; "),
        ("{config: 3}", "settings by their names for config; got 3; "),
        ("{config: {samples: 1.5}}", "a whole number for samples; got 1.5; "),
        ("{config: {batch_size: true}}", "a whole number for batch_size; got True; "),
        ("{update_every: 1.5}", "a whole number for update_every; got 1.5; "),
        ('{config: {likelihood: "yes"}}', "one of fixed, learned, heteroscedastic for likelihood; got 'yes'; "),
        ("{config: {activation: gelu}}", "one of tanh, relu, elu, silu for activation; got 'gelu'; "),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(keywords: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        VIME(**yaml.safe_load(keywords))


class Relabeled(BaseCallback):
    """What stands in the place of every rollout's rewards so far, [T, N] each, and the last line of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[np.ndarray] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.rewards.append(self.model.rollout_buffer.relabeled.copy())
        self.logged = dict(self.logger.name_to_value)


def test_curiosity_is_added_to_what_gail_pays(point_ppo, point_demonstrations) -> None:
    discriminator = AdversarialConfig(hidden=(8,), updates_per_rollout=2, batch_size=32)
    gail = GAIL(point_ppo(), point_demonstrations, GAILConfig(discriminator=discriminator, warm_start=False))
    by_gail, by_both, vime = Relabeled(), Relabeled(), VIME(QUICK, eta=0.5)
    gail.learn(192, [by_gail, vime, by_both])
    bonus = by_both.rewards[-1] - by_gail.rewards[-1]
    assert bonus.mean() == pytest.approx(0.5 * by_both.logged["vime/reward"], rel=1e-4)
    assert bonus.min() > 0
    assert by_gail.rewards[-1].min() > 0
    np.testing.assert_array_equal(by_both.rewards[0], by_gail.rewards[0], "VIME pays from the second rollout on")
    assert "vime/return" in by_both.logged
