"""A saved image model is the model."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators import GENERATORS, VAE, ImageShape, VAEConfig
from rlgen.generators.image_model import Samples
from rlgen.runs import load_image_model
from rlgen.runs.config import read_json, write_json
from rlgen.runs.image_files import CARD, WEIGHTS, save_image_model

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=10)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_saved_model_makes_the_same_images(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = GENERATORS[name].config_type
    changed = next(each.name for each in fields(kind) if each.name.endswith("rate"))
    model = GENERATORS[name](SMALL, kind(**{changed: 0.5})).eval()
    save_image_model(tmp_path, model)
    state = torch.get_rng_state()
    again = load_image_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(again) is type(model)
    assert again.config == model.config
    assert again.shape == SMALL
    samples = []
    for each in (model, again):
        torch.manual_seed(1)
        samples.append(each.sample(3) if isinstance(each, Samples) else each.class_logits(torch.rand(3, *SMALL.chw)))
    assert torch.equal(*samples)
    assert not again.training


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="JSON file"):
        load_image_model(tmp_path)
    save_image_model(tmp_path, VAE(SMALL, VAEConfig(latent=2, hidden=(3,))))
    (tmp_path / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(InputError, match="the weights of vae"):
        load_image_model(tmp_path)
    card = read_json(tmp_path / CARD)
    write_json(tmp_path / CARD, {**card, "model": "unheard"})
    with pytest.raises(InputError, match="'unheard'"):
        load_image_model(tmp_path)
