"""`rlgen train text --encoder`: a sentence VAE whose encoder is a published BERT."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlgen.agents import cli
from rlgen.data import SentenceModel
from rlgen.runs import Result, load_bert, load_checkpoint, load_text_model

from ..runs.test_gpt2_files import published
from .sentences import SENTENCES, command
from .test_train_text import KILLED, assert_same

pytest.importorskip("tokenizers")
from ..runs.test_bert_files import published_bert

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_bert(tmp_path_factory.mktemp("published") / "bert")


@pytest.fixture(scope="module")
def whole(cats: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert cli.main(command(cats, out, "--encoder", str(bert))) == 0
    return out


def weights(run: Path) -> dict[str, torch.Tensor]:
    found = load_text_model(run)
    assert isinstance(found, SentenceModel)
    return {name: each for name, each in found.model.state_dict().items() if name.startswith("reader.")}


def test_a_run_fine_tunes_the_encoder_and_is_loaded_evaluated_and_published_without_it(
    whole: Path, bert: Path, tmp_path: Path
) -> None:
    result = Result.read(whole)
    assert result.metrics["encoder"] == "the published BERT bert"
    found = load_text_model(whole)
    assert isinstance(found, SentenceModel)
    assert found.model.encoder is None
    before = load_bert(bert, found.tokenizer).state_dict()
    moved = [(each - before[name.removeprefix("reader.")]).abs().max() for name, each in weights(whole).items()]
    assert 0 < max(moved) < 13 * 5e-5 * 1.1  # at most the rate in each of 13 updates
    numbers = tmp_path / "numbers.json"
    assert cli.main(["evaluate", str(whole), "--out", str(numbers), "--importance-samples", "3"]) == 0
    again = json.loads(numbers.read_text())
    assert again["perplexity"] == pytest.approx(result.metrics["perplexity"])
    assert again["encoder"] == result.metrics["encoder"]
    shared = tmp_path / "shared"
    assert cli.main(["publish", str(whole), "--to", str(shared)]) == 0
    assert json.loads((shared / "config.json").read_text())["encoder"] == "bert"
    loaded = load_text_model(shared)
    assert isinstance(loaded, SentenceModel)
    torch.testing.assert_close(loaded.encode(SENTENCES[:3]), found.encode(SENTENCES[:3]))
    assert "the published BERT bert" in (whole / "report.html").read_text()


def test_a_killed_run_goes_on_bit_for_bit_when_the_published_files_are_gone(
    whole: Path, cats: Path, bert: Path, tmp_path: Path
) -> None:
    gone, out = tmp_path / bert.name, tmp_path / "run"
    shutil.copytree(bert, gone)
    arguments = [sys.executable, "-c", KILLED, "9", *command(cats, out, "--encoder", str(gone))]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == 5
    shutil.rmtree(gone)
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)


def test_an_encoder_with_rate_0_stays_as_it_was_and_its_decoder_may_be_a_gpt2(
    cats: Path, bert: Path, tmp_path: Path
) -> None:
    gpt2, out = published(tmp_path / "gpt2", positions=30), tmp_path / "run"
    more = """--model vae --seed 3 --threads 1 --device cpu --batch-size 4 --steps 3 --samples 0 --importance-samples 2
    --vae.context 24 --vae.latent 3 --vae.encoder-rate 0"""
    options = [*more.split(), "--start", str(gpt2), "--encoder", str(bert), "--out", str(out)]
    assert cli.main(["train", "text", "--data", str(cats), *options]) == 0
    found = load_text_model(out)
    assert isinstance(found, SentenceModel)
    before = {f"reader.{name}": each for name, each in load_bert(bert, found.tokenizer).state_dict().items()}
    torch.testing.assert_close(weights(out), before, rtol=0, atol=0)
    start = load_text_model(gpt2).model.state_dict()
    decoder = found.model.decoder.state_dict()
    torch.testing.assert_close(decoder["norm.weight"], start["network.norm.weight"], atol=1e-3, rtol=0)


def test_a_vae_may_start_from_one_with_such_an_encoder(whole: Path, cats: Path, bert: Path, tmp_path: Path) -> None:
    more = ("--seed", "4", "--threads", "1", "--device", "cpu", "--batch-size", "4", "--steps", "2", "--samples", "0")
    own = ["--vae.encoder-rate", "0", "--start", str(whole), "--out", str(tmp_path / "run")]
    assert cli.main(["train", "text", "--data", str(cats), *more, *own]) == 0
    torch.testing.assert_close(weights(tmp_path / "run"), weights(whole), rtol=0, atol=0)
    assert Result.read(tmp_path / "run").metrics["encoder"] == "the published BERT bert"
    refused = ["--start", str(whole), "--encoder", str(bert), "--out", str(tmp_path / "other")]
    assert cli.main(["train", "text", "--data", str(cats), *more, *refused]) == 2


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        (["--vae.encoder-rate", "1e-3"], "an encoder with published weights; got --vae.encoder-rate 0.001 without one"),
        (["--encoder", "absent"], "a BERT (config.json, model.safetensors, tokenizer.json) in"),
    ],
)
def test_options_that_lack_an_encoder_are_refused(
    cats: Path, tmp_path: Path, more: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command(cats, tmp_path / "run", *more)) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_language_model_has_no_encoder(
    cats: Path, bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "text", "--data", str(cats), "--encoder", str(bert), "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 2
    assert "a model with an encoder (vae)" in " ".join(capsys.readouterr().err.split())
