"""`rlgen train text --start`: the weights, tokenizer and sizes of another run, or of a published GPT-2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlgen.agents import cli
from rlgen.data import SentenceModel, Sentences
from rlgen.errors import InputError
from rlgen.generators import LanguageModel, LanguageModelConfig, SentenceVAE
from rlgen.runs import Metrics, Result, load_checkpoint, load_text_model, read_metrics
from rlgen.runs.text_start import TextStart, start_from

from ..runs.test_gpt2_files import published
from .sentences import OPTIONS as VAE
from .sentences import SENTENCES

pytestmark = pytest.mark.usefixtures("no_curves")
MORE = """--seed 4 --threads 1 --device cpu --batch-size 4 --steps 8 --log-every 1 --checkpoint-every 3
--evaluate-every 4"""
NEW = "\n".join(sentence.replace("cat", "cow") for sentence in SENTENCES)


def train(data: Path, out: Path, options: str, *more: str) -> list[str]:
    return ["train", "text", "--data", str(data), *options.split(), *more, "--out", str(out)]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "cows.txt"
    path.write_text(NEW)
    return path


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "cats.txt").write_text("\n".join(SENTENCES))
    assert cli.main(train(folder / "cats.txt", folder / "vae", VAE)) == 0
    return folder / "vae"


def stopping(write: Callable[[Metrics, int, Any], None]) -> Callable[[Metrics, int, Any], None]:
    """`Metrics.write` that ends the process's training after its first row, as a kill does: without saving."""

    def stop(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step:
            raise KeyboardInterrupt

    return stop


def test_a_run_starts_where_another_ended_and_goes_on_when_that_is_gone(
    start: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed, gone = tmp_path / "whole", tmp_path / "killed", tmp_path / start.name
    shutil.copytree(start, gone)
    assert cli.main(train(new, whole, MORE, "--start", str(gone))) == 0
    curve, before, found = read_metrics(whole), load_text_model(start), load_text_model(whole)
    assert isinstance(before, SentenceModel)
    expected = before.likelihood(Sentences.load(new).validation, 1).units()
    assert curve["step"][0] == 0
    assert curve["evaluation/nll_per_sentence"][0] == pytest.approx(expected["nll_per_sentence"])
    beta = curve["vae/beta"]
    assert beta[beta >= 0].tolist() == [0, 0] * 4  # four cycles of two updates start again: 0, then a rise from 0
    sizes = ("width", "depth", "heads", "context", "latent")
    assert all(getattr(found.model.config, each) == getattr(before.model.config, each) for each in sizes)
    result = Result.read(whole)
    assert result.metrics["start"] == "the run vae (vae of cats, 13 updates)"
    assert result.steps == 8
    assert cli.main(["publish", str(whole), "--to", str(tmp_path / "shared")]) == 0
    published_as = json.loads((tmp_path / "shared" / "config.json").read_text())["start"]
    assert (published_as, Result.read(tmp_path / "shared").metrics["start"]) == ("vae", result.metrics["start"])
    assert "Started from" in (whole / "report.html").read_text()
    with monkeypatch.context() as patched:
        patched.setattr(Metrics, "write", stopping(Metrics.write))
        assert cli.main(train(new, killed, MORE, "--start", str(gone))) == 130
    assert load_checkpoint(killed).step == 0
    shutil.rmtree(gone)
    assert cli.main(["resume", str(killed)]) == 0
    one, two = (load_text_model(each).model.state_dict() for each in (killed, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert Result.read(killed).metrics == result.metrics
    numbers = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(killed), "--out", str(numbers)]) == 0
    assert json.loads(numbers.read_text())["start"] == result.metrics["start"]


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        (
            ["--vae.width", "16"],
            "--vae.width 8, as in the run vae (vae of cats, 13 updates); got 16; leave --vae.width out",
        ),
        (["--vae.latent", "4"], "--vae.latent 3"),
        (["--vae.injection", "memory"], "--vae.injection both"),
        (["--tokenizer", "bpe"], "--tokenizer bytes"),
        (["--model", "lm"], "a start from a model of the same kind"),
    ],
)
def test_options_against_the_start_are_refused(
    start: Path, new: Path, tmp_path: Path, more: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(train(new, tmp_path / "run", MORE, "--start", str(start), *more)) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_start_from_nothing_is_refused(new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(train(new, tmp_path / "run", MORE, "--start", str(tmp_path / "absent"))) == 2
    assert "a finished run of `rlgen train text` or a GPT-2" in " ".join(capsys.readouterr().err.split())


def test_a_language_model_starts_from_a_published_gpt2(new: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    gpt2, out = published(tmp_path / "gpt2"), tmp_path / "run"
    more = ["--lm.learning-rate", "1e-9", "--lm.context", "10", "--lm.dropout", "0", "--keep", "last"]
    assert cli.main(train(new, out, MORE, "--start", str(gpt2), *more)) == 0
    found, before = load_text_model(out).model.state_dict(), load_text_model(gpt2).model.state_dict()
    before["network.positions.weight"] = before["network.positions.weight"][:10]
    torch.testing.assert_close(found, before)
    assert Result.read(out).metrics["start"] == "the published GPT-2 gpt2"
    recorded = json.loads((out / "config.json").read_text())
    assert recorded["lm"]["network"] == "gpt2"
    assert (recorded["tokenizer"], recorded["vocabulary"]) == ("bpe", len(before["embedding.weight"]) - 1)


def test_both_networks_of_a_sentence_vae_start_as_a_language_model(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    start = TextStart.of(published(tmp_path / "gpt2"))
    settings = start.settings("vae")
    assert (settings.network, settings.context, settings.learning_rate) == ("gpt2", 11, 5e-5)
    before = start.load().model
    made = SentenceVAE(before.vocabulary, settings).eval()
    start_from(made, before)
    assert isinstance(before, LanguageModel)
    for part in (made.encoder, made.decoder):
        torch.testing.assert_close(part.state_dict(), before.network.state_dict())
    made.memory = made.added = None  # without a latent, the decoder is the language model, but for the end symbol
    tokens = torch.randint(before.vocabulary, (2, 6))
    logits = made.logits(made.started(tokens), torch.zeros(2, settings.latent))
    expected = before.logits(before.started(tokens))
    torch.testing.assert_close(logits[..., :-1], expected)


def test_a_vae_from_an_lstm_is_refused(tmp_path: Path) -> None:
    config = LanguageModelConfig(network="lstm", width=8, depth=1)
    with pytest.raises(InputError, match="the Transformer of a language model"):
        TextStart(tmp_path, "lm", config, "bytes", 256, "a run").settings("vae")


def test_a_gpt2_reads_no_more_than_its_positions(new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    more = ["--start", str(published(tmp_path / "gpt2")), "--lm.context", "13"]
    assert cli.main(train(new, tmp_path / "run", MORE, *more)) == 2
    assert "--lm.context at most 12, as in the published GPT-2 gpt2; got 13" in " ".join(
        capsys.readouterr().err.split()
    )
