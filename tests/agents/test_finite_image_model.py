"""A training that its last update ruins is no success, and leaves nothing to go on from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlgen.agents import cli
from rlgen.agents.image_metrics import require_finite_model
from rlgen.data import ImageSet
from rlgen.generators import VAE, ImageShape, Trainer, VAEConfig
from rlgen.generators.trainer import Diverged
from rlgen.runs.checkpoint import list_checkpoints

SMALL = """--data digits --threads 1 --device cpu --batch-size 16 --measured 40 --importance-samples 2 --classifier none
--log-every 1"""
VAE_SIZES = "--vae.latent 2 --vae.hidden 8"
GAN_SIZES = "--gan.latent 3 --gan.generator-hidden 32 32 32 --gan.discriminator-hidden 8"


def command(model: str, out: Path, options: str) -> list[str]:
    return ["train", "image", "--model", model, *SMALL.split(), *options.split(), "--out", str(out)]


@pytest.mark.parametrize("evaluate_every", [0, 1_000])
@pytest.mark.parametrize(
    ("model", "options"),
    [("vae", f"{VAE_SIZES} --vae.learning-rate 1e30"), ("gan", f"{GAN_SIZES} --gan.generator-rate 1e30")],
)
def test_a_run_whose_only_update_ruins_the_model_fails(
    model: str, options: str, evaluate_every: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert cli.main(command(model, out, f"{options} --steps 1 --evaluate-every {evaluate_every}")) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "of the model at update 1;" in error
    assert "there is no earlier checkpoint" in error
    assert not (out / "result.json").exists()
    assert not (out / "model.safetensors").exists()
    assert list_checkpoints(out) == []


def test_weights_that_are_lost_at_the_end_leave_the_last_good_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, update = tmp_path / "run", Trainer.update

    def losing(game: Trainer, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logs = update(game, images, labels)
        if game.step == 4:
            with torch.no_grad():
                next(game.model.parameters()).fill_(torch.nan)
        return logs

    monkeypatch.setattr(Trainer, "update", losing)
    assert cli.main(command("vae", out, f"{VAE_SIZES} --steps 4 --checkpoint-every 2 --evaluate-every 0")) == 2
    error = "".join(capsys.readouterr().err.split())
    assert "weightsofthemodelatupdate4" in error
    assert f"thelastgoodcheckpointis{list_checkpoints(out)[0]}" in error
    assert int(list_checkpoints(out)[0].name) == 2


def test_looking_changes_neither_random_numbers_nor_mode() -> None:
    images = ImageSet.load("digits", "test").floats(slice(20))
    game = Trainer(VAE(ImageShape(channels=1, height=8, width=8), VAEConfig(latent=2, hidden=(4,))))
    game.update(images)
    before: Any = torch.get_rng_state()
    require_finite_model(game, images)
    assert torch.equal(torch.get_rng_state(), before)
    assert game.model.training
    with pytest.raises(Diverged, match="likelihoods of the model"):
        require_finite_model(game, images * torch.nan)
