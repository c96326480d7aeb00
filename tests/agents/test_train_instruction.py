"""`rlgen train instruction`: what it leaves behind, that a killed run goes on bit for bit, and what starts from it."""

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import BC, BCConfig, cli, instruction_metrics
from rlgen.agents.commands.train_instruction import TrainInstruction
from rlgen.agents.image_encoder import EncoderConfig, encoder_settings
from rlgen.agents.learner import LearnerConfig, make_model
from rlgen.data import Demonstrations
from rlgen.data.words import WORDS
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.generators.instruction_model import InstructionModel, InstructionModelConfig
from rlgen.nn.cross_modal import CrossModalConfig
from rlgen.runs import Result, RunFolder, load_checkpoint, load_instruction_model, load_speaker, read_metrics
from rlgen.runs.instruction_files import save_instruction_model
from rlgen.runs.metrics import same_metrics
from rlgen.sb3 import load_policy
from rlgen.sb3.saved_model import read_saved_model
from tests.data.instructed import demonstrations

from .test_train_text import KILLED

SMALL = "--prevalent.network.width 8 --prevalent.network.depth 1 --prevalent.network.heads 1"
OPTIONS = f"""--seed 3 --threads 1 --device cpu --batch-size 8 --log-every 2 --checkpoint-every 5 --evaluate-every 6
--labelled 20 --speaker on --speaker-steps 7 --steps 17 --speaking.width 8 --speaking.heads 1 {SMALL}
--prevalent.network.dropout 0.1 --game.average 0.9"""


def command(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "instruction", "--data", str(data), *OPTIONS.split(), *more, "--out", str(out)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "two.npz"
    demonstrations(30).save(path)
    return path


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert cli.main(command(data, out)) == 0
    return out


def test_a_run_holds_both_models_metrics_instructions_and_a_report(whole: Path) -> None:
    found = json.loads((whole / "result.json").read_text())["metrics"]
    named = {"model": "prevalent", "data": "two", "examples": 17 * 8, "held_out_episodes": 2, "written": 10}
    assert {name: found[name] for name in named} == named
    for name in ("action_accuracy", "word_accuracy", "speaker_accuracy", "speaker_exact", "written_exact"):
        assert 0 <= found[name] <= 1
    curve = read_metrics(whole)
    parts = {name: curve["step"][np.isfinite(curve[f"{name}/loss"])].tolist() for name in ("speaker", "pretraining")}
    assert parts == {"speaker": [2, 4, 6, 7], "pretraining": [8, 10, 12, 14, 16, 17]}
    assert curve["step"][curve["evaluation/action_nll"] > 0].tolist() == [12, 17]
    assert curve["step"][curve["evaluation/speaker_nll"] > 0].tolist() == [6]
    assert (whole / "instructions.txt").read_text().count("→") == 2
    assert "go to the" in (whole / "instructions.txt").read_text()
    assert load_instruction_model(whole).actions == 3
    assert load_speaker(whole).length == 8
    assert RunFolder.open(whole).finished
    page = (whole / "report.html").read_text()
    assert "PREVALENT of two" in page
    assert "each with what the speaker writes" in page


@pytest.mark.parametrize(("step", "last"), [(13, 10), pytest.param(6, 5, marks=pytest.mark.slow)])
def test_a_run_killed_in_each_part_and_resumed_gives_the_same_bit_for_bit(
    step: int, last: int, whole: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-c", KILLED, str(step), *command(data, out)]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == last
    assert cli.main(["resume", str(out)]) == 0
    assert same_metrics(out, whole)
    for weights in ("model.safetensors", "speaker/model.safetensors"):
        one, two = (load_file(each / weights) for each in (out, whole))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert (out / "instructions.txt").read_bytes() == (whole / "instructions.txt").read_bytes()


@pytest.mark.parametrize(("mask_share", "kept"), [(0.0, 1.0), (0.15, 2.0)])
def test_the_kept_weights_are_those_with_the_lowest_loss_that_is_learned(
    mask_share: float, kept: float, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = CrossModalConfig(width=8, depth=1, heads=1)
    model = InstructionModelConfig(network=network, mask_share=mask_share)
    settings: Any = TrainInstruction.settings_of("prevalent")
    training = settings(data=data, out=tmp_path, device="cpu", prevalent=model).build(ExitStack(), None)
    losses = iter([(1.0, 3.0), (2.0, 0.5)])  # of actions and of words

    def measured(*_: Any) -> dict[str, float]:
        return dict(zip(("action_nll", "word_nll"), next(losses), strict=True))

    monkeypatch.setattr(instruction_metrics, "measure_instructions", measured)
    for value in (1.0, 2.0):
        torch.nn.init.constant_(training.game.model.word_bias, value)
        training.evaluate()
    assert (training.best["word_bias"] == kept).all()


def test_evaluate_gives_the_numbers_of_the_run(whole: Path, tmp_path: Path) -> None:
    found = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(whole), "--out", str(found)]) == 0
    numbers = json.loads(found.read_text())
    assert numbers.pop("run") == str(whole)
    assert numbers == Result.read(whole).metrics


def test_a_published_model_is_loaded_with_its_speaker(whole: Path, tmp_path: Path) -> None:
    assert cli.main(["publish", str(whole), "--to", str(tmp_path / "shared")]) == 0
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "load_instruction_model" in card
    assert "20 episodes of two for the labelled" in card
    one, two = load_speaker(tmp_path / "shared").state_dict(), load_speaker(whole).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_a_speaker_only_labelled_episodes_are_learned(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ["--threads", "1", "--device", "cpu", "--labelled", "20", "--batch-size", "8", "--epochs", "1"]
    assert cli.main(["train", "instruction", "--data", str(data), *given, *SMALL.split(), "--out", str(out)]) == 0
    result = Result.read(out)
    steps = demonstrations(20).episode_lengths.sum()
    assert 0.8 * steps / 8 < result.steps < steps / 8 + 1
    assert "written" not in result.metrics
    assert not (out / "speaker").exists()


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        (["--labelled", "31"], "no more than there are"),
        (["--labelled", "9"], "labelled of at least 10"),
        (["--labelled", "30"], "unlabelled episodes for a speaker"),
        (["--steps", "7"], "more updates than the speaker's"),
        (["--prevalent.mask-share", "1"], "mask_share of at least 0 and below 1"),
    ],
)
def test_bad_input_ends_before_a_folder_is_made(
    more: list[str], refusal: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command(data, tmp_path / "run", *more)) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The folder of a model of instructions of 32 words."""
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(5)
    network = CrossModalConfig(width=8, depth=1, heads=2, dropout=0.5)
    save_instruction_model(folder, InstructionModel(len(WORDS), 32, 7, InstructionModelConfig(network=network)))
    return folder


@pytest.mark.parametrize("freeze", [False, True])
def test_a_clone_starts_from_the_network_of_a_run_and_is_saved_with_it(
    freeze: bool, trained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("minigrid")
    from rlgen.agents.commands.demos_bot import record_bot

    env = make_vec("BabyAI-GoToRedBallNoDists-v0", 2, seed=0)
    shown: Demonstrations = record_bot(env, 4, 0)
    encoder = EncoderConfig(run=trained, freeze=freeze)
    model: Any = make_model(LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, encoder=encoder), env, 0)
    before = load_instruction_model(trained).network.state_dict()
    started = model.policy.features_extractor.network.state_dict()
    assert all(torch.equal(started[name], before[name]) for name in before)
    assert model.policy.features_extractor.network.config.dropout == 0, "a policy acts as it learns"
    BC(model, shown, BCConfig(max_updates=4, check_every=2, batch_size=8, plain_below=0, average=0)).learn()
    after = model.policy.features_extractor.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before) == freeze
    model.save(tmp_path / "policy.zip")
    again = load_policy(tmp_path / "policy.zip", env)
    seen = env.reset()
    assert np.array_equal(again.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0])
    kept = read_saved_model(tmp_path / "policy.zip").tensors["features_extractor.network.words.weight"]
    assert torch.equal(kept, after["words.weight"])


def test_observations_and_instructions_of_another_form_are_refused(trained: Path) -> None:
    pytest.importorskip("minigrid")

    def made(task: str) -> Any:
        config = LearnerConfig(n_steps=16, batch_size=16, encoder=EncoderConfig(run=trained))
        return make_model(config, make_vec(task, 1), 0)

    with pytest.raises(InputError, match="observations with an instruction"):
        made("CartPole-v1")
    with pytest.raises(InputError, match="instructions of 80 words"):
        made("BabyAI-BossLevel-v0")
    observed = make_vec("BabyAI-GoToObj-v0", 1).observation_space
    with pytest.raises(InputError, match=r"a model of instructions for observations with one .*got a VAE of images"):
        encoder_settings(EncoderConfig(pretrain=10), None, observed)
