"""`rlgen train text --model vae`: what it leaves behind, and that a killed run goes on bit for bit."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlgen.agents import cli
from rlgen.data import SentenceModel
from rlgen.errors import InputError
from rlgen.runs import Result, RunFolder, load_checkpoint, load_text_model, read_metrics

from .sentences import SENTENCES, command
from .test_train_text import KILLED, assert_same


@pytest.fixture(scope="module")
def whole(cats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert cli.main(command(cats, out)) == 0
    return out


def test_a_run_holds_sentences_metrics_weights_and_a_report(whole: Path) -> None:
    result = json.loads((whole / "result.json").read_text())
    found = result["metrics"]
    named = {"model": "vae", "data": "cats", "sentences": 13 * 4, "n_validation_sentences": 4, "importance_samples": 3}
    assert {name: found[name] for name in named} == named
    assert found["kl"] > 0
    assert abs(found["mutual_information"]) < 1.4  # log 4
    curve = read_metrics(whole)
    assert curve["step"][curve["evaluation/perplexity"] > 0].tolist() == [6, 12, 13]
    assert (curve["vae/kl"][curve["vae/kl"] > 0] > 0).all()
    assert (whole / "samples.txt").read_text().count("─" * 40) == 1
    assert (whole / "reconstructions.txt").read_text().count("→") == 4
    assert (whole / "interpolation.txt").read_text().count("→") == 7
    assert RunFolder.open(whole).finished
    page = (whole / "report.html").read_text()
    assert "VAE of cats" in page
    assert "each with its reconstruction" in page
    assert "7 sentences between two" in page


def test_a_run_killed_and_resumed_gives_the_same_bit_for_bit(whole: Path, cats: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-c", KILLED, "9", *command(cats, out)]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == 5
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)
    for name in ("reconstructions.txt", "interpolation.txt"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_evaluate_gives_the_numbers_of_the_run_and_continues_a_prompt(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(whole), "--prompt", "The rat", "--out", str(found)]) == 0
    numbers = json.loads(found.read_text())
    assert numbers.pop("run") == str(whole)
    assert numbers == Result.read(whole).metrics
    assert "The rat" in capsys.readouterr().out


def test_more_importance_samples_may_be_asked_of_an_evaluation(whole: Path, tmp_path: Path) -> None:
    found = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(whole), "--importance-samples", "50", "--out", str(found)]) == 0
    numbers = json.loads(found.read_text())
    assert numbers["importance_samples"] == 50
    assert numbers["kl"] == Result.read(whole).metrics["kl"]


def test_the_saved_model_encodes_decodes_and_measures(whole: Path) -> None:
    model = load_text_model(whole)
    assert isinstance(model, SentenceModel)
    state = torch.get_rng_state()
    assert model.sample(2, 12, seed=20_000) == model.sample(2, 12, seed=20_000)
    assert torch.equal(torch.get_rng_state(), state)
    means = model.encode(SENTENCES[:3])
    assert means.shape == (3, 3)
    assert model.decode(means) == model.reconstruct(SENTENCES[:3])
    between = model.interpolate(SENTENCES[0], SENTENCES[2], 4)
    assert [between[0], between[-1]] == model.reconstruct([SENTENCES[0], SENTENCES[2]])
    as_text = model.likelihood("\n".join(SENTENCES[:5]), 4)
    assert torch.equal(as_text.log_prob, model.likelihood(SENTENCES[:5], 4).log_prob)
    assert as_text.words == 5 * 7
    assert as_text.tokens == sum(len(each) + 1 for each in SENTENCES[:5])


def test_a_model_refuses_what_it_cannot_read(whole: Path) -> None:
    model = load_text_model(whole)
    assert isinstance(model, SentenceModel)
    with pytest.raises(InputError, match="at most 24 tokens"):
        model.sample(1, prompt="x" * 25)
    with pytest.raises(InputError, match="at least one sentence"):
        model.encode([])
    with pytest.raises(InputError, match="at least 2 steps"):
        model.interpolate("a", "b", 1)
    with pytest.raises(InputError, match="at least one sample"):
        model.sample(0)


def test_a_published_model_is_loaded_and_its_card_says_what_it_is(whole: Path, tmp_path: Path) -> None:
    assert cli.main(["publish", str(whole), "--to", str(tmp_path / "shared")]) == 0
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "pipeline_tag: text-generation" in card
    assert "4 sentences of cats for the validation" in card
    assert "model.interpolate" in card
    assert load_text_model(tmp_path / "shared").sample(1, 3, seed=0) == load_text_model(whole).sample(1, 3, seed=0)


@pytest.mark.parametrize(
    ("content", "more", "refusal"),
    [
        (b"\xe9\n" * 50, [], "text in UTF-8"),
        (b"one sentence\n" * 50, [], "at least 10 different sentences"),
        ("\n".join([*SENTENCES, "x" * 30]).encode(), [], "--vae.context 30"),
        ("\n".join(SENTENCES).encode(), ["--prompt", "x" * 30], "at most 24 tokens"),
        ("\n".join(SENTENCES).encode(), ["--importance-samples", "0"], "importance_samples of at least 1"),
        ("\n".join(SENTENCES).encode(), ["--lm.context", "24"], "lm.context"),
    ],
)
def test_bad_input_ends_before_a_folder_is_made(
    content: bytes, more: list[str], refusal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert cli.main(command(tmp_path / "a.txt", tmp_path / "run", *more)) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
