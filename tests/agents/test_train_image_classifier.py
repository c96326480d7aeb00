"""`rlgen train image --model classifier`: options without a group, robust errors, and a run that goes on."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import cli
from rlgen.agents.commands.train_image import TrainImage, settings_of
from rlgen.data import ImageSet
from rlgen.errors import InputError
from rlgen.generators import ImageClassifierConfig
from rlgen.runs import Result, load_image_model, read_metrics
from rlgen.runs.config import to_json
from rlgen.system.rng import own_randomness

SMALL = """--model classifier --data digits --seed 3 --threads 1 --device cpu --batch-size 16 --log-every 2
--evaluate-every 4 --widths 4 --n-features 8 --measured 40 --measured-steps 2 --adversarial fgsm --epsilon 0.2"""


def train(out: Path, options: str) -> int:
    return cli.main(["train", "image", *SMALL.split(), *options.split(), "--out", str(out)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("classified") / "run"
    assert train(out, "--steps 6") == 0
    return out


def test_the_result_has_clean_and_robust_errors_and_nothing_of_samples(run: Path) -> None:
    metrics = Result.read(run).metrics
    assert not {"fid", "parzen", "n_samples", "compared_with", "nll"} & metrics.keys()
    test, model = ImageSet.load("digits", "test"), load_image_model(run)
    assert metrics["test_errors"] == (model.class_logits(test.floats()).argmax(1) != test.labels).sum()
    some = test.some(40)
    images, labels = some.floats(), some.labels
    attacked = model.attacked(images, labels, "fgsm")
    assert metrics["robust_error_fgsm"] == pytest.approx(
        (model.class_logits(attacked).argmax(1) != labels).float().mean()
    )
    assert 0 <= metrics["robust_error_pgd"] <= 1
    assert {"evaluation/test_error", "evaluation/robust_error_pgd"} <= read_metrics(run).keys()


def test_the_report_shows_attacked_images(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert (run / "attacked.png").is_file()
    assert "Attacked test images in the wrong class" in page
    assert "Attacked" in page
    assert not (run / "samples.png").exists()


def test_its_settings_stand_at_the_top_of_the_configuration(run: Path) -> None:
    recorded = json.loads((run / "config.json").read_text())
    assert recorded.pop("agent") == "image"
    assert (recorded["adversarial"], recorded["epsilon"], recorded["classifier"]) == ("fgsm", 0.2, "auto")
    expected = ImageClassifierConfig(widths=(4,), n_features=8, adversarial="fgsm", epsilon=0.2, measured_steps=2)
    assert TrainImage.restored(recorded).model_config == expected
    assert to_json(TrainImage.restored(recorded)) == recorded


def test_a_resumed_run_is_that_of_one_go(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(out, "--steps 4") == 0
    assert cli.main(["resume", str(out), "--steps", "6"]) == 0
    one, two = (load_file(each / "model.safetensors") for each in (out, run))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_an_evaluation_repeats_the_metrics(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.json"
    assert cli.main(["evaluate", str(run), "--out", str(out)]) == 0
    found = Result.read(run).metrics
    again = json.loads(out.read_text())
    assert {name: again[name] for name in found} == found


def test_no_setting_of_the_classifier_has_the_name_of_one_of_the_training() -> None:
    assert not {each.name for each in fields(ImageClassifierConfig)} & {each.name for each in fields(TrainImage)}


def test_without_settings_of_its_own_the_classifier_has_its_defaults() -> None:
    assert TrainImage(out=Path("run"), model="classifier").model_config == ImageClassifierConfig()


def test_its_checks_run_when_the_settings_are_made() -> None:
    with pytest.raises(InputError, match="epsilon"):
        settings_of("classifier")(out=Path("run"), epsilon=2.0)
    with pytest.raises(InputError, match="samples of a model"):
        settings_of("classifier")(out=Path("run"), classifier="inception")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "gan", "--epsilon", "0.1"], "--model classifier"),
        (["--model", "classifier", "--gan.latent", "3"], "--model gan"),
        (["--model", "vae", "--learning-rate", "0.1"], "did you mean --vae.learning-rate"),
    ],
)
def test_options_of_other_models_are_refused_with_theirs(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "image", *options, "--out", str(tmp_path / "run")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_own_randomness_repeats_a_random_start(run: Path) -> None:
    model, test = load_image_model(run), ImageSet.load("digits", "test")
    found = []
    for _ in range(2):
        with own_randomness(1, torch.device("cpu")):
            found.append(model.attacked(test.floats(slice(5)), test.labels[:5], "pgd"))
    assert torch.equal(*found)


def test_a_published_classifier_is_one_for_classification(run: Path, tmp_path: Path) -> None:
    assert cli.main(["publish", str(run), "--to", str(tmp_path / "published")]) == 0
    card = (tmp_path / "published" / "README.md").read_text()
    assert "image-classification" in card
    assert "model.class_logits(images)" in card
    assert "generation" not in card.split("---\n")[1]
