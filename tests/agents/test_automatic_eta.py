"""Curiosities that tune their own weight, with on-policy and off-policy models, and on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import TQC, CrossQ
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger

from rlgen.agents import E3B, RND, VIME, Counts, Explorer, cli
from rlgen.agents.commands.eta import parse_eta
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.errors import InputError
from rlgen.rewards import InformationGain, InformationGainConfig, RandomNetworkDistillationConfig
from rlgen.rewards.automatic_weight import RANGE
from rlgen.runs import read_metrics
from rlgen.sb3.relabel_replay import stored_transitions

from .conftest import LEARNER, SMALL_VIME
from .interruptions import assert_resumes
from .test_curiosity import Images
from .test_curiosity_off_policy import Rows

QUICK = InformationGainConfig(updates_per_rollout=5, batch_size=16, hidden=(4,))
QUICK_RND = RandomNetworkDistillationConfig(updates_per_rollout=5, target_hidden=(4,), predictor_hidden=(4,))
OFF_POLICY: dict[str, Any] = {"learning_starts": 10, "batch_size": 8, "buffer_size": 500}


class Seen(BaseCallback):
    """Rewards of every rollout, and what was logged of one curiosity by then."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.rewards, self.eta, self.bonus = name, [], [], []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.rewards.append(float(self.model.rollout_buffer.rewards.mean()))
        self.eta.append(self.logger.name_to_value[f"{self.name}/eta"])
        self.bonus.append(self.logger.name_to_value[f"{self.name}/reward"])


@pytest.mark.parametrize("kind", [kind for kind in CURIOSITIES.values() if not kind.needs_rollouts()])
def test_an_on_policy_model_learns_from_the_bonus_times_the_weight_of_the_log(kind: Any) -> None:
    """CartPole gives 1 for every step."""
    seen, curiosity = Seen(kind.name), kind(eta="auto")
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", 2, seed=0), n_steps=32, batch_size=32, seed=0, device="cpu")
    model.learn(5 * 64, [curiosity, seen])
    assert seen.eta[0] == pytest.approx(kind.usual_eta)
    assert len(set(seen.eta[2:])) == 3, "it moves"
    for reward, eta, bonus in zip(seen.rewards, seen.eta, seen.bonus, strict=True):
        assert reward == pytest.approx(1 + eta * bonus, rel=1e-5)


@pytest.mark.parametrize("algorithm", [SAC, TD3, TQC, CrossQ])
def test_off_policy_models_train_with_it(algorithm: Any) -> None:
    rows, vime = Rows(), VIME(QUICK, eta="auto", update_every=20)
    env = make_vec_env("Pendulum-v1", 1, seed=0, env_kwargs={"max_episode_steps": 9})
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [4]}, **OFF_POLICY)
    model.set_logger(Logger(None, [rows]))
    model.learn(90, vime, log_interval=1)
    found = {row["vime/eta"] for row in rows.rows if "vime/eta" in row}
    assert len(found) > 1
    assert max(found) < VIME.usual_eta * RANGE


def test_a_minibatch_of_replayed_transitions_has_the_current_weight() -> None:
    """CartPole gives 1 for every step, and the bonus of these rows is known."""

    class Drawn(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            buffer = self.model.replay_buffer
            self.rewards = np.concatenate([buffer.sample(50).rewards.numpy() for _ in range(20)])
            rows, n_envs = np.arange(buffer.pos), np.zeros(buffer.pos, int)
            self.bonus = counts.source.reward(stored_transitions(self.model, rows, n_envs)).numpy()

    counts, drawn = Counts(eta="auto", update_every=20), Drawn()
    env = make_vec_env("CartPole-v1", 1, seed=0)
    DQN("MlpPolicy", env, seed=0, device="cpu", **OFF_POLICY).learn(100, [counts, drawn])
    assert counts.automatic is not None
    eta = float(counts.automatic.weight(0.0))
    assert eta != Counts.usual_eta
    expected = np.unique((1 + eta * drawn.bonus).astype(np.float32))
    np.testing.assert_allclose(np.unique(drawn.rewards), expected, rtol=1e-6)


def test_each_of_several_curiosities_has_its_own_weight(point_ppo) -> None:
    agent, rows = Explorer(point_ppo(), [VIME(QUICK, eta="auto"), RND(QUICK_RND, eta="auto")]), Rows()
    agent.model.set_logger(Logger(None, [rows]))
    agent.learn(6 * 64)
    found = [
        [row[f"{name}/eta"] / kind.usual_eta for row in rows.rows] for name, kind in (("vime", VIME), ("rnd", RND))
    ]
    assert found[0][-1] != found[1][-1]
    assert all(len(set(each)) > 2 for each in found)


@pytest.mark.parametrize("observed", [None, [1, 0]])
def test_features_and_chosen_numbers_are_compared_as_the_curiosity_sees_them(observed: Any) -> None:
    if observed is None:
        model = PPO("CnnPolicy", Images(), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    else:
        model = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    rnd = RND(eta="auto", observed=observed)
    model.learn(32, rnd)
    assert rnd.automatic is not None
    assert rnd.automatic.earlier.rows is not None
    assert rnd.automatic.earlier.rows.observations.shape[1] == (64 if observed is None else 2)


def test_with_a_number_as_eta_nothing_is_compared_and_logged(point_ppo) -> None:
    rows, vime = Rows(), VIME(QUICK, eta=0.5)
    agent = Explorer(point_ppo(), [vime])
    agent.model.set_logger(Logger(None, [rows]))
    agent.learn(128)
    assert vime.automatic is None
    assert isinstance(vime.source, InformationGain)
    assert not {"vime/eta"} & set().union(*rows.rows)


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        (
            E3B,
            {"eta": "auto"},
            "a number as the eta of a curiosity of whole rollouts; got auto for E3B; use e.g. 0.001",
        ),
        (VIME, {"eta": "auto", "final_eta": 0.5}, "final_eta of 1 with an automatic eta; got 0.5; leave it out"),
        (VIME, {"eta": "small"}, "a number or auto or none for eta; got 'small'; write 0.001"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(kind: Any, keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kind(**keywords)


def test_the_option_is_a_number_or_auto() -> None:
    assert [parse_eta([text]) for text in ("1e-3", "0", "auto", "None")] == [0.001, 0.0, "auto", None]
    with pytest.raises(InputError, match=r"a number or auto for --eta; got 'small'; write e\.g\. --eta 0\.001"):
        parse_eta(["small"])


@pytest.mark.parametrize("options", [("--eta", "small"), ("--eta", "auto", "--final-eta", "0.5")])
def test_a_wrong_option_is_said_in_three_parts_and_leaves_no_folder(
    options: tuple[str, ...], rlgen_train, tmp_path: Path, capsys
) -> None:
    assert rlgen_train("vime", *options) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: expected ")
    assert shown.count("; ") == 2
    assert not (tmp_path / "run").exists()


def test_a_run_records_and_takes_auto_again(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--eta", "auto", "--steps", "256") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["eta"] == "auto"
    again = TrainExplore.restored({name: value for name, value in config.items() if name != "agent"})
    assert again.eta == "auto"
    assert json.loads(json.dumps(again.recorded())) == config
    with pytest.raises(InputError, match=r"eta of the type .*float.*auto.*; got 'small'"):
        TrainExplore.restored({name: value for name, value in config.items() if name != "agent"} | {"eta": "small"})
    found = read_metrics(tmp_path / "run")["vime/eta"]
    assert found[0] == pytest.approx(VIME.usual_eta)
    assert found[-1] != found[0]


def test_a_run_that_is_killed_goes_on_bit_for_bit(no_finish, tmp_path: Path) -> None:
    """As does an off-policy model (test_curiosity_off_policy.py)."""
    words = f"train explore --env rlgen/SparseMountainCar-v0 --eta auto --n-envs 4 --seed 3 --threads 1 --device cpu \
        --no-video --steps 640 --checkpoint-every 192 --evaluate-every 0 {LEARNER} {SMALL_VIME}"
    whole = assert_resumes(words.split(), 448, tmp_path, no_finish)
    found = read_metrics(whole)["vime/eta"]
    assert len(set(found)) == 9, "it moves from the third update on"


def test_the_help_shows_how_eta_is_written(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "explore", "--help"])
    assert "--eta FLOAT|auto" in capsys.readouterr().out
