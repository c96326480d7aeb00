"""`rlgen train image --labels`: a classifier from a few labels, its test error, and a run that goes on bit for bit."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import cli
from rlgen.agents.commands.train_image import settings_of
from rlgen.data import ImageSet
from rlgen.runs import Metrics, Result, load_image_model, read_metrics

SHARED = """--data digits --seed 3 --threads 1 --device cpu --batch-size 16 --log-every 2 --checkpoint-every 3
--evaluate-every 4 --measured 40 --classifier none --steps 6"""
MODEL = """--model semi_supervised_gan --labels 20 --semi-supervised-gan.latent 3 --semi-supervised-gan.hidden 8
--semi-supervised-gan.generator-hidden 8"""


def command(out: Path) -> list[str]:
    return ["train", "image", *MODEL.split(), *SHARED.split(), "--out", str(out)]


def test_the_result_holds_the_test_error_of_the_classifier(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.main(command(out)) == 0
    metrics = Result.read(out).metrics
    test = ImageSet.load("digits", "test")
    wrong = (load_image_model(out).class_logits(test.floats()).argmax(1) != test.labels).sum().item()
    assert metrics["test_errors"] == wrong
    assert metrics["test_error"] == wrong / len(test)
    assert read_metrics(out)["evaluation/test_error"].size
    assert json.loads((out / "config.json").read_text())["labels"] == 20
    assert "test images in the wrong class" in (out / "report.html").read_text().lower()


def test_only_the_labels_asked_for_are_told() -> None:
    config = settings_of("semi_supervised_gan")(out=Path("run"), labels=20, batch_size=40, device="cpu")
    parts = config.build(ExitStack(), None)
    seen: dict[bytes, int] = {}
    for _ in range(30):
        images, labels = next(parts.batches)
        assert (labels >= 0).sum() == 20
        seen |= {image.numpy().tobytes(): int(label) for image, label in zip(images, labels, strict=True) if label >= 0}
    assert torch.bincount(torch.tensor(list(seen.values()))).tolist() == [2] * 10


def test_an_epoch_is_a_pass_over_the_images_without_labels() -> None:
    config = settings_of("semi_supervised_gan")(out=Path("run"), labels=20, batch_size=40, epochs=1, device="cpu")
    parts = config.build(ExitStack(), None)
    updates = config.updates(len(parts.train), parts.batches.of_epoch)
    assert updates == -(-len(parts.train) // 20)
    unlabeled = set()
    for _ in range(updates):
        images, labels = next(parts.batches)
        unlabeled |= {image.numpy().tobytes() for image in images[labels < 0]}
    assert unlabeled == {image.numpy().tobytes() for image in parts.train.floats()}


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert cli.main(command(whole)) == 0
    write = Metrics.write

    def interrupted(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", interrupted)
        assert cli.main(command(out)) == 130
    assert cli.main(["resume", str(out)]) == 0
    one, two = (load_file(each / "model.safetensors") for each in (out, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert Result.read(out).metrics == Result.read(whole).metrics


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "vae", "--labels", "100"], "labels for a semi-supervised model (semi_supervised_gan)"),
        (["--model", "semi_supervised_gan", "--labels", "7"], "take as many of each class, e.g. --labels 10 or 100"),
        (["--model", "semi_supervised_gan", "--batch-size", "15"], "an even size"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_labeled_is_said_at_once(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    try:
        code = cli.main(["train", "image", "--device", "cpu", *options, "--out", str(out)])
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not out.exists()
