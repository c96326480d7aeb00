"""`rlgen evaluate` of a run with an image model."""

import json
from pathlib import Path

import pytest

from rlgen.agents import cli
from rlgen.runs import Result, RunFolder

OPTIONS = """--data digits --threads 1 --device cpu --batch-size 16 --steps 3 --measured 20 --importance-samples 2
--classifier none --vae.latent 2 --vae.hidden 8 --game.average 0.9"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated") / "run"
    assert cli.main(["train", "image", "--model", "vae", *OPTIONS.split(), "--out", str(out)]) == 0
    return out


def test_the_defaults_repeat_the_metrics_of_the_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again.json"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert cli.main(["evaluate", str(run), "--out", str(out)]) == 0
    again = json.loads(out.read_text())
    assert {name: again[name] for name in ("model", "data")} == {"model": "vae", "data": "digits"}
    found = Result.read(run).metrics
    assert {name: again[name] for name in found} == found
    shown = capsys.readouterr().out
    assert "VAE of digits" in shown
    assert "negative log-likelihood" in shown
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before, "the run stays as it is"


def test_more_images_and_latents_may_be_asked_for(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "more.json"
    more = ["--measured", "50", "--importance-samples", "30", "--device", "cpu"]
    assert cli.main(["evaluate", str(run), *more, "--out", str(out)]) == 0
    again = json.loads(out.read_text())
    assert (again["n_samples"], again["nll_importance_samples"]) == (50, 30)
    assert again["nll"] < -again["elbo"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--episodes", "5", "--no-deterministic"], "expected --episodes, --deterministic for a policy; got an image"),
        (["--measured", "1"], "measured of at least 2"),
        (["--classifier", "nowhere.json"], "where no file is"),
    ],
)
def test_what_means_nothing_for_images_is_refused(
    options: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(run), *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_means_nothing_for_a_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder.create(tmp_path / "run", {"agent": "gail", "env": "InvertedPendulum-v5"})
    assert cli.main(["evaluate", str(tmp_path / "run"), "--importance-samples", "5"]) == 2
    assert "expected --importance-samples for an image model" in " ".join(capsys.readouterr().err.split())


def test_an_unfinished_run_says_how_to_finish_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder.create(tmp_path / "run", {"agent": "image", "model": "vae"})
    assert cli.main(["evaluate", str(tmp_path / "run")]) == 2
    assert f"rlgen resume {tmp_path / 'run'}" in " ".join(capsys.readouterr().err.split())
