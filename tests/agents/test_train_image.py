"""`rlgen train image` on digits: what it leaves behind, and that a killed or stopped run goes on bit for bit."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from rlgen.agents import cli, image_metrics
from rlgen.agents.commands import image_checks
from rlgen.agents.commands.train_image import TrainImage, settings_of
from rlgen.agents.session import Session
from rlgen.generators import GENERATORS, GANConfig, Trainer, TrainerConfig, VAEConfig
from rlgen.runs import Metrics, Result, RunFolder, load_checkpoint, load_image_model, read_metrics
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.config import from_json, to_json
from rlgen.runs.metrics import same_metrics

SHARED = """--data digits --seed 3 --threads 1 --device cpu --batch-size 16 --log-every 2 --checkpoint-every 5
--evaluate-every 6 --measured 40 --importance-samples 2 --classifier none --game.average 0.9"""
STEPS = 13
# Everything that carries state is switched on.
CASES = {
    "vae": "--vae.latent 2 --vae.hidden 8 --vae.posterior iaf --vae.flow-hidden 8 --vae.samples 2",
    "gan": """--gan.latent 3 --gan.generator-hidden 8 --gan.discriminator-hidden 8 --gan.discriminator-turns 2
    --gan.penalties.spectral-norm --gan.divergence f_jensen_shannon""",
    "dcgan": "--dcgan.latent 3 --dcgan.width 2",
}
# The command line in a process of its own, which kills itself when it is about to write a row after step argv[1].
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


def command(model: str, out: Path, *more: str) -> list[str]:
    options = [*SHARED.split(), *CASES[model].split(), "--steps", str(STEPS)]
    return ["train", "image", "--model", model, *options, *more, "--out", str(out)]


@pytest.fixture(scope="module", params=CASES)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A model and the folder of its run."""
    out = tmp_path_factory.mktemp("undisturbed") / request.param
    assert cli.main(command(request.param, out)) == 0
    return request.param, out


def assert_same(resumed: Path, undisturbed: Path) -> None:
    assert read_metrics(resumed)["step"].tolist() == read_metrics(undisturbed)["step"].tolist()
    assert same_metrics(resumed, undisturbed)
    one, two = (load_file(each / "model.safetensors") for each in (resumed, undisturbed))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert Result.read(resumed).metrics == Result.read(undisturbed).metrics
    pictures = {path.relative_to(undisturbed) for path in undisturbed.rglob("*.png")}
    assert {path.relative_to(resumed) for path in resumed.rglob("*.png")} == pictures
    for name in pictures:
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_run_holds_pictures_metrics_weights_and_a_report(undisturbed: tuple[str, Path]) -> None:
    model, out = undisturbed
    result = json.loads((out / "result.json").read_text())
    turns = 2 if model == "gan" else 1
    assert (result["agent"], result["seed"], result["steps"], result["unit"]) == ("image", 3, STEPS, "updates")
    named = {"model": model, "data": "digits", "images": STEPS * 16 * turns}
    assert {name: result["metrics"][name] for name in named} == named
    assert result["device"].startswith("cpu")
    assert "torch" in result["versions"]
    expected = {"samples", "interpolation"} | ({"reconstructions", "traversals"} if model == "vae" else set())
    for name in expected:
        with Image.open(out / f"{name}.png") as picture:
            assert picture.size[0] > 100
        assert [path.name for path in sorted((out / name).iterdir())] == ["000000006.png", "000000012.png"]
    assert {path.stem for path in out.glob("*.png")} == expected
    measured = result["metrics"]
    assert {"parzen", "parzen_sigma", "n_samples"} <= set(measured)
    assert ("nll" in measured) == (model == "vae")
    assert ("probe_accuracy" in measured) == (model != "vae")
    if model == "vae":
        assert measured["nll_of"] == "digits, binarized with seed 0"
        assert measured["nll"] <= -measured["elbo"] + 1
    page = (out / "report.html").read_text()
    assert f"{model.upper()} of digits" in page
    assert page.count("data:image/png") >= len(expected)
    steps = read_metrics(out)["step"].tolist()
    assert sorted(set(steps)) == [2, 4, 6, 8, 10, 12, 13]
    assert result["peak_gpu_memory_mb"] is None, "there is no GPU"
    if model == "vae":
        bounds = read_metrics(out)
        assert bounds["step"][np.isfinite(bounds["evaluation/nll"])].tolist() == [6, 12, 13]
    assert any((out / "tensorboard").iterdir())
    assert load_image_model(out).sample(2).shape == (2, 1, 8, 8)
    assert RunFolder.open(out).finished


def test_tensorboard_has_the_pictures(undisturbed: tuple[str, Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(undisturbed[1] / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Images("samples")] == [6, 12, 13]
    assert f"{'vae' if undisturbed[0] == 'vae' else 'generator'}/loss" in events.Tags()["scalars"]


def test_a_run_killed_and_resumed_gives_the_same_bit_for_bit(undisturbed: tuple[str, Path], tmp_path: Path) -> None:
    model, whole = undisturbed
    out = tmp_path / model
    arguments = [sys.executable, "-c", KILLED, "9", *command(model, out)]
    killed = subprocess.run(arguments, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == 5
    assert read_metrics(out)["step"].max() == 8, "rows after the checkpoint, to be forgotten"
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)


@pytest.fixture
def ctrl_c_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`ctrl_c_at(7)` presses Ctrl-C once, when a row of step 7 or later is written."""
    write = Metrics.write
    pressed: list[int] = []

    def arrange(when: int) -> None:
        def press(metrics: Metrics, step: int, values: Any) -> None:
            write(metrics, step, values)
            if step >= when and not pressed:
                pressed.append(step)
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Metrics, "write", press)

    return arrange


def test_a_run_stopped_by_ctrl_c_and_resumed_gives_the_same_bit_for_bit(
    undisturbed: tuple[str, Path], tmp_path: Path, ctrl_c_at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model, whole = undisturbed
    out = tmp_path / model
    ctrl_c_at(7)
    assert cli.main(command(model, out)) == 130
    assert f"rlgen resume {out}" in capsys.readouterr().err
    assert load_checkpoint(out).step == 8
    assert not (out / "result.json").exists()
    assert cli.main(["resume", str(out)]) == 0
    assert_same(out, whole)
    assert len(RunFolder.open(out).versions["sittings"]) == 1


def test_ctrl_c_at_the_last_update_leaves_only_the_end_to_do(
    tmp_path: Path, ctrl_c_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "vae"
    ctrl_c_at(STEPS)
    assert cli.main(command("vae", out)) == 130
    assert load_checkpoint(out).step == STEPS
    played: list[int] = []
    monkeypatch.setattr(Trainer, "update", lambda *batch: played.append(1))
    assert cli.main(["resume", str(out)]) == 0
    assert played == []
    assert (out / "samples.png").is_file()


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerCut(BaseException):
        pass

    def cut(session: Any, final: bool = False) -> None:
        raise PowerCut

    out, whole = tmp_path / "cut", tmp_path / "whole"
    monkeypatch.setattr(Session, "save", cut)
    with pytest.raises(PowerCut):
        cli.main(command("vae", out))
    monkeypatch.undo()
    assert cli.main(["resume", str(out)]) == 0
    assert cli.main(command("vae", whole)) == 0
    assert_same(out, whole)


def test_a_training_that_diverges_stops_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert cli.main(command("vae", out, "--vae.learning-rate", "1e30")) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "got NaN or an infinity in vae/" in error
    assert "at update" in error
    assert "there is no earlier checkpoint" in error
    assert not (out / "result.json").exists()


def test_a_training_that_diverges_names_the_last_good_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, update = tmp_path / "run", Trainer.update

    def poisoned(game: Trainer, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        return update(game, images * torch.nan if game.step == 3 else images, labels)

    monkeypatch.setattr(Trainer, "update", poisoned)
    assert cli.main(command("gan", out, "--steps", "5", "--checkpoint-every", "2")) == 2
    error = "".join(capsys.readouterr().err.split())
    assert "atupdate4" in error
    assert f"thelastgoodcheckpointis{list_checkpoints(out)[0]}" in error
    assert int(list_checkpoints(out)[0].name) == 2


def test_help_shows_the_settings_of_the_chosen_model_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, model, other in (
        (["--model", "gan"], "gan", "vae"),
        (["--model=dcgan"], "dcgan", "gan"),
        ([], "vae", "gan"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["train", "image", *arguments, "--help-all"])
        text = capsys.readouterr().out
        assert f"--{model}.latent" in text
        assert f"--{other}.latent" not in text
        assert "rlgen train image --model vae --data digits" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "no/such/folder"], "got no/such/folder, where nothing is"),
        (["--model", "fq_gan", "--fq-gan.host", "u_gat_it"], "use --model u_gat_it --u-gat-it.quantization.codes 64"),
        (["--device", "cuda:99"], "expected a CUDA device"),
        (["--steps", "inf"], "expected a positive steps"),
        (["--epochs", "1"], "expected steps or epochs"),
        (["--batch-size", "0"], "expected batch_size of at least 1"),
        (["--classifier", "missing.json"], "expected a classifier auto, inception, none, or the .json of a saved one"),
        (["--device", "cpu", "--game.compile"], "expected a CUDA device for compiled losses"),
        (["--vae.latent", "0"], "expected latent of at least 1"),
        (["--model", "dcgan", "--batch-size", "1"], "got --batch-size 1 for a model with batch norm"),
        (["--binarize", "none"], "expected images of zeros and ones for the likelihood bernoulli"),
        (["--binarize", "fixed", "--vae.likelihood", "logistic"], "expected unchanged grey levels"),
        (["--measured", "5"], "expected at least 6 images to compare features of"),
        (["--seed", "-1"], "expected seed of at least 0"),
        (["--model", "van"], "invalid choice 'van'"),
        (["--model", "pixelcn"], "got 'pixelcn'; use --model pixelcnn"),
        (["--fq-gan.host", "biggan"], "got --fq-gan.host, which needs --model fq_gan"),
        (["--model", "WGAN-GP"], "use --model dcgan --dcgan.divergence wasserstein --dcgan.no-batch-norm"),
        (["--model", "realnvp"], "use --model real_nvp"),
        (["--vae.mixture", "8"], "got --vae.mixture 8 with --vae.likelihood bernoulli, where it has no effect; leave"),
        (["--vae.flow-hidden", "9", "9"], "expected --vae.posterior iaf or coupling for --vae.flow-hidden; got"),
        (["--model", "draw", "--draw.no-attention", "--draw.read-window", "9"], "expected --draw.attention, above 0"),
        (["--model", "gan", "--gan.penalties.gradient-center", "0"], "got --gan.penalties.gradient-center 0.0 with"),
        (["--model", "u_gat_it", "--u-gat-it.quantization.decay", "0.5"], "--u-gat-it.quantization.codes 0, where"),
        (["--model", "lapgan", "--lapgan.penalties.r1", "0", "--lapgan.r1-per-level", "2"], "--lapgan.penalties.r1"),
        (
            ["--model", "dc_ign", "--batch-size", "19"],
            "use --batch-size 20 or more, or a smaller --dc-ign.minib",
        ),
        (["--model", "semi_supervised_gan", "--labels", "12"], "take as many of each class, e.g. --labels 10 or 100"),
        (["--model", "u_gat_it", "--u-gat-it.domains", "0", "10"], "choose --u-gat-it.domains among these numbers"),
        (["--scatter", "1", "--canvas", "3"], "enlarge it (--canvas)"),
        (["--model", "classifier", "--pgd-steps", "3"], "expected --adversarial pgd for --pgd-steps"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_said_at_once_and_leaves_no_folder(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    given = ["train", "image", "--steps", "3", *options, "--out", str(out)]
    try:
        code = cli.main(given)
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    printed = capsys.readouterr()
    assert said in " ".join((printed.err + printed.out).replace("│", " ").split())
    assert not out.exists()


def test_inception_is_asked_for_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = command("vae", tmp_path / "run", "--classifier", "inception")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    assert cli.main(asked) == 2
    assert "expected the package torch-fidelity" in " ".join(capsys.readouterr().err.split())
    module = "torch_fidelity.feature_extractor_inceptionv3"
    for name in ("torch_fidelity", module):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert cli.main(asked) == 2
    assert "expected Inception's weights at" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_inception_measures_but_knows_nothing_of_the_classes_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Inception:
        name, hash = "inception", "c0ffee"

        def __init__(self, device: torch.device):
            assert device.type == "cpu"

        def features(self, images: Tensor) -> Tensor:
            return images.flatten(1)

        def probs(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :10].softmax(-1)

    monkeypatch.setattr(image_metrics, "InceptionExtractor", Inception)
    monkeypatch.setattr(image_checks, "require_inception", lambda: None)
    options = ["--model", "cgan", "--classifier", "inception", "--steps", "1", "--out", str(tmp_path / "run")]
    assert cli.main(["train", "image", *SHARED.split(), *options]) == 0
    measured = Result.read(tmp_path / "run").metrics
    assert measured["extractor"] == "inception"
    assert "conditional_accuracy" not in measured


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder.create(tmp_path / "run", {"agent": "image", "model": "vae"})
    assert cli.main(command("vae", tmp_path / "run")) == 2
    assert "rlgen resume" in capsys.readouterr().err


def test_epochs_are_passes_over_the_images() -> None:
    config = TrainImage(out=Path("run"), epochs=2.5)
    assert config.updates(size=1_000, per_update=100) == 25
    assert config.updates(size=1_001, per_update=100) == 26
    assert TrainImage(out=Path("run"), steps=7).updates(1_000, 100) == 7


def test_without_settings_of_its_own_a_model_has_its_defaults() -> None:
    assert TrainImage(out=Path("run"), model="gan").model_config == GANConfig()
    assert settings_of("vae")(out=Path("run")).model_config == VAEConfig()


@pytest.mark.parametrize("model", [name for name, kind in GENERATORS.items() if kind.grouped])
def test_a_configuration_comes_back_from_json_as_it_was(model: str) -> None:
    kind = GENERATORS[model].config_type
    changed = next(each.name for each in fields(kind) if each.name.endswith("rate"))
    settings = {model: kind(**{changed: 0.5})}
    config = settings_of(model)(out=Path("a"), epochs=3.0, threads=2, game=TrainerConfig(clip=1.0), **settings)
    recorded = json.loads(json.dumps(to_json(config)))
    assert recorded["model"] == model
    assert recorded[model][changed] == 0.5
    assert TrainImage.restored(recorded) == config
    assert from_json(type(config), recorded) == config
