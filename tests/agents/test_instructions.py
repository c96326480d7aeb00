"""Tasks with an instruction: from the demonstrations of BabyAI's bot to a policy that is evaluated."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlgen.agents import BC, GAIL, BCConfig, DAgger, DAggerConfig
from rlgen.agents.cli import main
from rlgen.agents.commands.demos_bot import record_bot
from rlgen.agents.gail import GAILConfig
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import Demonstrations
from rlgen.data.words import NOTED, WORDS, instructions_of
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards.adversarial import AdversarialConfig
from rlgen.runs import Result, evaluate
from rlgen.runs.evaluation import Evaluation
from rlgen.runs.instruction_episodes import InstructionEpisodes
from rlgen.runs.instruction_scores import instruction_scores
from rlgen.sb3 import load_policy
from rlgen.sb3.babyai_bot import BabyAIBot
from rlgen.sb3.instruction_extractor import InstructionFeatures

pytest.importorskip("minigrid")
TASK = "BabyAI-GoToRedBallNoDists-v0"
LEARNER = LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, n_epochs=1)
FEW = BCConfig(max_updates=4, check_every=2, batch_size=8, plain_below=0.0, average=0.0)
FEW_OPTIONS = "bc.max-updates 4 --{0}bc.check-every 2 --{0}bc.batch-size 8 --{0}bc.plain-below 0"
SHORT = ["--env", TASK, "--env-kwargs", "max_steps=24"]
QUICK = [*SHORT, "--device", "cpu", "--no-video", "--episodes", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def shown() -> Demonstrations:
    return record_bot(make_vec(TASK, 4), 20, 0)


def test_the_bot_fulfills_its_missions_and_its_file_keeps_the_words(shown: Demonstrations, tmp_path: Path) -> None:
    assert shown.n_episodes == 20
    assert (shown.episode_returns > 0.8).all()
    for name in ("shown.npz", "shown.hdf5", "shown-v0"):
        if name == "shown-v0":
            pytest.importorskip("minari")
        shown.save(tmp_path / name)
        again = Demonstrations.load(tmp_path / name)
        assert again.fingerprint == shown.fingerprint
        assert again.metadata[NOTED] == list(WORDS)
        assert instructions_of(again.observations, again.metadata) == ["go to the red ball"] * len(shown)


def test_demonstrations_in_other_words_are_refused(shown: Demonstrations) -> None:
    other = Demonstrations(**{**vars(shown), "metadata": {**shown.metadata, NOTED: ["", "gehe"]}})
    with pytest.raises(InputError, match=r"instructions in the words of rlgen\.data\.words"):
        other.validate(make_vec(TASK, 1))
    assert instructions_of(other.observations, other.metadata) == [], "numbers beyond the words"


class Clumsy:
    """Acts as the bot, but turns instead in every third step."""

    def __init__(self, env: Any, kept: list[np.ndarray]):
        self.bot, self.step, self.kept = BabyAIBot(env), 0, kept

    def predict(self, observation: Any, deterministic: bool = True) -> tuple[np.ndarray, None]:
        self.step += 1
        actions = self.bot.predict(observation)[0]
        self.kept.append(actions)
        return (actions if self.step % 3 else np.zeros_like(actions)), None


def test_the_bot_advises_a_learner_that_takes_other_actions() -> None:
    env, advised = make_vec("BabyAI-GoToLocal-v0", 4, seed=5), []
    clumsy = Clumsy(env, advised)
    found = evaluate(clumsy, env, 12, seed=5, label=None)
    assert (found.returns > 0).all(), "its advice leads to the goal from wherever the learner is"
    alone = evaluate(BabyAIBot(env), env, 12, seed=5, label=None)
    assert found.lengths.sum() > alone.lengths.sum()
    assert clumsy.bot.unplanned == 0


def test_without_a_plan_the_bot_says_done_and_counts_it() -> None:
    env = make_vec("BabyAI-KeyInBox-v0", 1)
    bot = BabyAIBot(env)
    assert evaluate(bot, env, 1, seed=0, label=None).returns == [0]
    assert bot.unplanned > 0
    with pytest.raises(InputError, match=r"a mission that BabyAI's bot fulfills.*none of 1 episodes"):
        record_bot(env, 1, 0)


def test_the_bot_refuses_other_tasks() -> None:
    with pytest.raises(InputError, match=r"a BabyAI task for the expert babyai-bot.*CartPole-v1"):
        BabyAIBot(make_vec("CartPole-v1", 1))


def test_the_policy_reads_words_and_opens_again(shown: Demonstrations, tmp_path: Path) -> None:
    env = make_vec(TASK, 2)
    model = make_model(LEARNER, env, 0)
    assert isinstance(model.policy.features_extractor, InstructionFeatures)
    BC(model, shown, FEW).learn()
    model.save(tmp_path / "model.zip")
    loaded, seen = load_policy(tmp_path / "model.zip", env.observation_space, env.action_space), env.reset()
    other = {**seen, "mission": np.roll(seen["mission"], 1, 1)}
    assert not torch.equal(values(model, seen), values(model, other))
    assert torch.equal(values(model, seen), values(loaded, seen))


def values(model: Any, seen: Any) -> torch.Tensor:
    policy = model.policy
    with torch.no_grad():
        return policy.get_distribution(policy.obs_to_tensor(seen)[0]).distribution.logits


def test_an_observation_has_the_same_action_beside_longer_instructions() -> None:
    env = make_vec("BabyAI-PickupLoc-v0", 8, seed=1)
    model, seen = make_model(LEARNER, env, 0), env.reset()
    lengths = (seen["mission"] > 0).sum(1)
    assert lengths.min() < lengths.max()
    shortest = {name: rows[lengths.argmin()][None] for name, rows in seen.items()}
    torch.testing.assert_close(values(model, seen)[lengths.argmin()], values(model, shortest)[0])


def test_features_need_an_instruction() -> None:
    with pytest.raises(InputError, match="observations with an instruction in numbers"):
        InstructionFeatures(spaces.Dict({"image": spaces.Box(0, 255, (7, 7, 3), np.uint8)}))


def test_gail_rewards_words_and_codes(shown: Demonstrations) -> None:
    env = make_vec(TASK, 2)
    model = make_model(LEARNER, env, 0)
    config = GAILConfig(bc=FEW, discriminator=AdversarialConfig(hidden=(8,), batch_size=16, updates_per_rollout=2))
    agent = GAIL(model, shown, config)
    agent.learn(64)
    assert model.num_timesteps == 64
    assert np.isfinite(model.rollout_buffer.rewards).all()


def test_scores_are_success_spl_and_success_by_kind() -> None:
    env = make_vec("BabyAI-ActionObjDoor-v0", 4)
    bot = evaluate(BabyAIBot(env), env, 12, seed=3, label=None)
    perfect = instruction_scores(InstructionEpisodes.of(bot, env, 3))
    kinds = {text.split()[0] for text in bot.instructions}
    assert len(kinds) > 1
    assert perfect == {"success_rate": 1.0, "spl": 1.0, **{f"success_{kind}": 1.0 for kind in kinds}}
    goes = np.array([text.startswith("go") for text in bot.instructions])
    slow = Evaluation(bot.returns * goes, 2 * bot.lengths, bot.terminated, bot.instructions)
    found = instruction_scores(InstructionEpisodes.of(slow, env, 3))
    assert found["success_rate"] == pytest.approx(goes.mean())
    assert found["spl"] == pytest.approx(goes.mean() / 2)
    assert (found["success_go"], found["success_pick"]) == (1.0, 0.0)
    others = Evaluation(bot.returns, bot.lengths, bot.terminated, np.array(["go to the moon"] * 12))
    assert instruction_scores(InstructionEpisodes.of(others, env, 3)) == {"success_rate": 1.0}, (
        "the bot has played other episodes"
    )
    cart = make_vec("CartPole-v1", 1)
    assert (
        instruction_scores(InstructionEpisodes.of(Evaluation(bot.returns, bot.lengths, bot.terminated), cart, 3)) == {}
    )


def test_a_task_of_minigrid_has_a_success_rate_and_no_bot() -> None:
    env = make_vec("MiniGrid-Empty-5x5-v0", 1)
    played = Evaluation(np.array([0.9, 0.0]), np.array([5, 9]), np.array([True, False]), np.array(["get", "get"]))
    assert instruction_scores(InstructionEpisodes.of(played, env, 0)) == {"success_rate": 0.5}


def test_the_commands_go_from_demonstrations_to_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos, run = tmp_path / "demos.npz", tmp_path / "run"
    record = ["demos", "record", *SHORT, "--episodes", "8", "--out", str(demos)]
    assert main(record) == 2, "neither policy nor expert"
    assert main([*record, "--expert", "babyai-bot"]) == 0
    assert main(["demos", "inspect", str(demos)]) == 0
    assert "1 different, e.g." in capsys.readouterr().out
    few = f"--{FEW_OPTIONS.format('')} --hidden 8".split()
    assert main(["train", "bc", "--demos", str(demos), *few, *QUICK, "--out", str(run)]) == 0
    result = Result.read(run)
    assert 0 <= result.metrics["spl"] <= result.metrics["success_rate"] <= 1
    episodes = InstructionEpisodes.read(run)
    assert instruction_scores(episodes).items() <= result.metrics.items()
    assert "Asked and reached object" in (run / "report.html").read_text()
    assert main(["evaluate", str(run), "--out", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert {name: again[name] for name in ("success_rate", "spl")} == {
        name: result.metrics[name] for name in ("success_rate", "spl")
    }
    assert again["per_episode"]["instructions"] == ["go to the red ball"] * 2
    assert again["per_episode"]["faced"] == episodes.faced


def test_the_bot_labels_the_states_of_a_learner() -> None:
    env = make_vec(TASK, 2)
    dagger = DAgger(make_model(LEARNER, env, 0), BabyAIBot(env), None, DAggerConfig(steps_per_round=16, bc=FEW))
    dagger.learn(48)
    rows = dagger.rows.demonstrations()
    assert len(rows) == 48
    assert set(rows.actions.ravel()) <= {0, 1, 2}, "turns and steps ahead, whatever the learner did"


@pytest.mark.slow
def test_a_run_of_dagger_asks_the_bot_and_is_resumed(tmp_path: Path, stop_after: Any) -> None:
    run = tmp_path / "run"
    few = f"--dagger.{FEW_OPTIONS.format('dagger.')} --dagger.steps-per-round 16 --hidden 8 --n-envs 2".split()
    options = ["--expert", "babyai-bot", "--steps", "48", "--checkpoint-every", "0", *few, *QUICK]
    with stop_after(32):
        assert main(["train", "dagger", *options, "--out", str(run)]) == 130
    assert main(["resume", str(run)]) == 0
    result = Result.read(run)
    assert result.steps == 48
    assert result.returns.reference == "expert"
    assert result.returns.expert_return > 0.8
