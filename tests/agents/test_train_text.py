"""`rlgen train text`: what it leaves behind, and that a killed or stopped run goes on bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import cli
from rlgen.agents.commands.text_training import TextTraining
from rlgen.generators import Sampling
from rlgen.runs import Metrics, Result, RunFolder, load_checkpoint, load_text_model, read_metrics
from rlgen.runs.metrics import same_metrics

TEXT = "The cat <b>sat</b> on the mat & the rat sat on the hat.\n" * 40
OPTIONS = """--seed 3 --threads 1 --device cpu --batch-size 4 --log-every 2 --checkpoint-every 5 --evaluate-every 6
--steps 13 --samples 2 --sample-length 12 --lm.context 12 --lm.width 8 --lm.depth 1 --lm.heads 1 --lm.dropout 0.1"""
CASES = {
    "bytes": "--prompt <b> --game.average 0.9",
    "lstm": "--lm.network lstm --tokenizer bpe --vocabulary 270 --keep last --game.precision bfloat16",
}
KILLED = """
import os, signal, sys
from rlgen.agents import cli
from rlgen.runs import Metrics
write = Metrics.write
def die(metrics, step, values):
    if step > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(metrics, step, values)
Metrics.write = die
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "cats.txt"
    path.write_text(TEXT)
    return path


def command(case: str, data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "text", "--data", str(data), *OPTIONS.split(), *CASES[case].split(), *more, "--out", str(out)]


@pytest.fixture(scope="module", params=CASES)
def undisturbed(
    request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A case and the folder of its run."""
    if request.param == "lstm":
        pytest.importorskip("tokenizers")
    out = tmp_path_factory.mktemp("undisturbed") / request.param
    assert cli.main(command(request.param, data, out)) == 0
    return request.param, out


def assert_same(resumed: Path, undisturbed: Path) -> None:
    assert same_metrics(resumed, undisturbed)
    assert read_metrics(resumed)["step"].tolist() == read_metrics(undisturbed)["step"].tolist()
    one, two = (load_file(each / "model.safetensors") for each in (resumed, undisturbed))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert Result.read(resumed).metrics == Result.read(undisturbed).metrics
    for name in ("samples.txt", "tokenizer.json", "model.json"):
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_run_holds_samples_metrics_weights_and_a_report(undisturbed: tuple[str, Path], data: Path) -> None:
    case, out = undisturbed
    result = json.loads((out / "result.json").read_text())
    assert (result["agent"], result["seed"], result["steps"], result["unit"]) == ("text", 3, 13, "updates")
    found = result["metrics"]
    named = {"model": "lm", "data": "cats", "tokens": 13 * 4 * 12, "n_validation_characters": len(TEXT) // 10}
    assert {name: found[name] for name in named} == named
    assert found["bits_per_character"] == pytest.approx(found["nll_per_character"] / 0.6931471805599453)
    assert (found["nll_per_token"] == found["nll_per_character"]) == (case == "bytes")
    assert ("chosen_update" in found) == (case == "bytes")
    curve = read_metrics(out)
    assert curve["step"][curve["evaluation/perplexity"] > 0].tolist() == [6, 12, 13]
    samples = (out / "samples.txt").read_text()
    assert samples.count("─" * 40) == 1
    assert RunFolder.open(out).finished


def test_samples_are_escaped_in_the_report(undisturbed: tuple[str, Path]) -> None:
    case, out = undisturbed
    page = (out / "report.html").read_text()
    assert "LM of cats" in page
    assert "<b>" not in page.partition("<h2>Samples</h2>")[2].partition("</section>")[0]
    assert case != "bytes" or "&lt;b&gt;" in page


def test_the_saved_model_writes_the_samples_of_the_run(undisturbed: tuple[str, Path]) -> None:
    case, out = undisturbed
    model = load_text_model(out)
    prompt = "<b>" if case == "bytes" else ""
    written = model.sample(2, 12, prompt, Sampling(), seed=20_000)
    assert all(each in (out / "samples.txt").read_text() for each in written)
    assert model.likelihood(TEXT[-len(TEXT) // 10 :]).units()["nll_per_token"] > 0


def test_a_run_killed_and_resumed_gives_the_same_bit_for_bit(
    undisturbed: tuple[str, Path], data: Path, tmp_path: Path
) -> None:
    case, whole = undisturbed
    out = tmp_path / case
    arguments = [sys.executable, "-c", KILLED, "9", *command(case, data, out)]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == 5
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)


def test_a_run_stopped_by_ctrl_c_goes_on_bit_for_bit(
    undisturbed: tuple[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, whole = undisturbed
    out, write, pressed = tmp_path / case, Metrics.write, []

    def press(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step >= 8 and not pressed:
            pressed.append(step)
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Metrics, "write", press)
        assert cli.main(command(case, data, out)) == 130
    assert load_checkpoint(out).step == 8
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)


def test_evaluate_gives_the_numbers_of_the_run_and_continues_a_prompt(
    undisturbed: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = undisturbed
    found = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(out), "--prompt", "The rat", "--out", str(found)]) == 0
    numbers = json.loads(found.read_text())
    assert numbers.pop("run") == str(out)
    assert numbers == Result.read(out).metrics
    assert "The rat" in capsys.readouterr().out


def test_without_its_texts_a_model_still_continues_a_prompt(
    undisturbed: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(undisturbed[1], moved)
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "gone.txt")}))
    assert cli.main(["evaluate", str(moved), "--prompt", "The rat"]) == 0
    assert "The rat" in capsys.readouterr().out
    assert cli.main(["evaluate", str(moved)]) == 2


def test_options_of_other_evaluations_are_refused(
    undisturbed: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(undisturbed[1]), "--episodes", "3"]) == 2
    assert "--episodes for a policy; got a language model" in " ".join(capsys.readouterr().err.split())


def test_a_published_model_is_loaded_and_its_card_says_what_it_is(
    undisturbed: tuple[str, Path], tmp_path: Path
) -> None:
    _, out = undisturbed
    assert cli.main(["publish", str(out), "--to", str(tmp_path / "shared")]) == 0
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "pipeline_tag: text-generation" in card
    assert "load_text_model" in card
    assert "characters of cats for the validation" in card
    assert load_text_model(tmp_path / "shared").sample(1, 3, seed=0) == load_text_model(out).sample(1, 3, seed=0)


def test_the_best_weights_are_the_final_model(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(
        "rlgen.agents.text_metrics.curve_point", lambda *_: {"nll_per_token": next(losses), "perplexity": 1.0}
    )
    seen: dict[int, dict[str, torch.Tensor]] = {}
    evaluate = TextTraining.evaluate

    def noted(training: TextTraining) -> Any:
        found = evaluate(training)
        seen[training.step] = {name: each.clone() for name, each in training.game.model.state_dict().items()}
        return found

    monkeypatch.setattr(TextTraining, "evaluate", noted)
    assert cli.main(command("bytes", data, tmp_path / "run", "--game.average", "0")) == 0
    assert list(seen) == [6, 12, 13]
    saved = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.equal(saved[name], seen[12][name]) for name in saved)
    assert Result.read(tmp_path / "run").metrics["chosen_update"] == 12


def test_another_text_is_refused_on_resuming(undisturbed: tuple[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "cats.txt"
    other.write_text(TEXT)
    out = tmp_path / "run"
    assert cli.main(command("bytes", other, out, "--steps", "2")) == 0
    other.write_text(TEXT.replace("cat", "dog"))
    assert cli.main(["resume", str(out), "--steps", "4"]) == 2


@pytest.mark.parametrize(
    ("content", "more", "refusal"),
    [
        (b"\xff\xfe" * 50, [], "text in UTF-8"),
        (b"", [], "an empty file"),
        (b"a short text", [], "at least 12 tokens, one window"),
        (TEXT.encode(), ["--steps", "3", "--epochs", "1"], "steps or epochs"),
        (TEXT.encode(), ["--sampling.temperature", "-1"], "temperature of at least 0"),
        (TEXT.encode(), ["--tokenizer", "bpe", "--vocabulary", "100"], "vocabulary of at least 257"),
    ],
)
def test_bad_input_ends_before_a_folder_is_made(
    content: bytes, more: list[str], refusal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert cli.main(command("bytes", tmp_path / "a.txt", tmp_path / "run", *more)) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
