"""What holds of every model's game: the same seed, going on after a restart, images of either size."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rlgen.generators import GENERATORS, ImageShape, Trainer, TrainerConfig
from rlgen.generators.fq_hosts import HOSTS
from rlgen.nn.quantized_discriminator import QuantizationConfig
from rlgen.runs import load_checkpoint, save_checkpoint
from rlgen.system.rng import rng_state, set_rng_state

SETTINGS: dict[str, dict[str, Any]] = {
    "air": {"latent": 2, "hidden": 4, "window_hidden": 3, "warmup": 2},
    "began": {"latent": 3, "filters": 2, "balance_rate": 0.1},
    "cgan": {"latent": 3, "generator_hidden": (4, 4, 6), "discriminator_hidden": (4, 3, 5), "pieces": (2, 2)},
    "dc_ign": {"latent": 2, "width": 2, "hidden": 4, "minibatch": 4},
    "ddpm": {"widths": (4, 4), "steps": 20, "sampled_steps": 5},
    "draw": {"steps": 2, "latent": 2, "hidden": 4, "read_window": 2, "write_window": 2},
    "fgan": {"latent": 3, "generator_hidden": (6,), "discriminator_hidden": (5,), "discriminator_turns": 2},
    "gran": {"steps": 2, "latent": 3, "width": 2},
    **{
        f"fq_gan {host}": {
            "host": host,
            "latent": 4,
            "width": 2,
            "discriminator_turns": 2,
            "quantization": QuantizationConfig(codes=4),
        }
        for host in HOSTS
    },
    "infogan": {"latent": 3, "width": 2, "hidden": 6, "guess_hidden": 4},
    "nice": {"hidden": (6,)},
    "real_nvp": {"filters": 2, "blocks": 1},
    "pixelcnn": {"width": 4, "depth": 1},
    "pixelrnn": {"width": 4},
    "lapgan": {"latent": 3, "width": 2, "coarse_generator": (6,), "coarse_discriminator": (5,)},
    "u_gat_it": {"domains": (0, 8), "width": 2, "blocks": 1, "pairs": 4, "quantization": QuantizationConfig(codes=4)},
}
"""By the name of the model, and a word for one of several forms."""
CLASSES = 10


def game_of(name: str, side: int = 8) -> Trainer:
    """Small, with a moving average and clipped gradients."""
    kind = GENERATORS[name.split()[0]]
    shape = ImageShape(channels=1, height=side, width=side, n_classes=CLASSES)
    return Trainer(kind(shape, kind.config_type(**SETTINGS[name])), TrainerConfig(average=0.9, clip=1.0))


def play(game: Trainer, updates: int) -> list[dict[str, float]]:
    """On images that depend on the number of the update alone."""
    found = []
    for _ in range(updates):
        generator = torch.Generator().manual_seed(game.step)
        images = torch.rand(8, *game.model.shape.chw, generator=generator)
        labels = torch.randint(CLASSES, (8,), generator=generator)
        found.append({name: float(value) for name, value in game.update(images, labels).items()})
    return found


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("name", SETTINGS)
def test_an_update_moves_every_player_and_samples_are_images(name: str, side: int) -> None:
    torch.manual_seed(0)
    game = game_of(name, side)
    before = {player.name: [each.detach().clone() for each in player.trained] for player in game.players}
    logs = play(game, 1)[0]
    for player in game.players:
        assert f"{player.name}/loss" in logs
        pairs = zip(before[player.name], player.trained, strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs)
    with game.evaluating() as model:
        images = model.sample(4, torch.arange(4) if model.conditional else None)
    assert images.shape == (4, 1, side, side)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert not images.requires_grad


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_seed_gives_the_same_numbers_and_another_does_not(name: str) -> None:
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append(play(game_of(name), 3))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_saved_and_loaded_game_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    game = game_of(name)
    play(game, 3)
    save_checkpoint(tmp_path, 3, {"game": game.state_dict(), "rng": rng_state()})
    expected, state = play(game, 3), game.state_dict()
    torch.manual_seed(7)
    again = game_of(name)
    loaded = load_checkpoint(tmp_path).state
    again.load_state_dict(loaded["game"])
    set_rng_state(loaded["rng"])
    assert play(again, 3) == expected
    for one, two in ((state["model"], again.state_dict()["model"]),
                     (state["average"]["average"], again.state_dict()["average"]["average"])):  # fmt: skip
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
