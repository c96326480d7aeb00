"""Games: known answers, whose turn changes what, and going on bit for bit."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.generators import (
    DCGAN,
    GAN,
    GENERATORS,
    VAE,
    DCGANConfig,
    GANConfig,
    ImageModel,
    ImageShape,
    PenaltyConfig,
    Player,
    Trainer,
    TrainerConfig,
    VAEConfig,
)
from rlgen.generators.image_model import Terms
from rlgen.generators.trainer import Diverged
from rlgen.runs import load_checkpoint, save_checkpoint
from rlgen.system.rng import rng_state, set_rng_state

PIXEL = ImageShape(channels=1, height=1, width=1)
SMALL = ImageShape(channels=1, height=8, width=8, n_classes=10)


class Normal(ImageModel):
    """One Gaussian for all pixels, fitted by maximum likelihood."""

    def __init__(self, rate: float = 0.05) -> None:
        super().__init__(PIXEL)
        self.mean, self.log_std = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.rate = rate
        self.seen: list[Tensor] = []

    def require_data(self, data: Tensor, labels: Tensor | None) -> None:
        """Its data are any numbers."""

    def players(self) -> Sequence[Player]:
        return (Player("fit", self.parameters(), self.loss, self.rate),)

    def loss(self, images: Tensor, labels: Tensor | None) -> Terms:
        return {"loss": -torch.distributions.Normal(self.mean, self.log_std.exp()).log_prob(images).mean()}


class Duel(ImageModel):
    """Two players with a number and a batch norm each; each one's loss depends on both numbers."""

    averaged = ("second",)

    def __init__(self, repeats: int = 1) -> None:
        super().__init__(PIXEL)
        self.first = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
        self.second = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
        self.repeats = repeats
        self.seen: dict[str, list[Tensor]] = {"first": [], "second": []}
        self.updates: list[Terms] = []

    def players(self) -> Sequence[Player]:
        return (
            Player("first", self.first.parameters(), self.of_first, 0.1, repeats=self.repeats),
            Player("second", self.second.parameters(), self.of_second, 0.1),
        )

    def through_both(self, images: Tensor) -> Tensor:
        return self.first(self.second(images.flatten(1)))

    def of_first(self, images: Tensor, labels: Tensor | None) -> Terms:
        self.seen["first"].append(images)
        return {"loss": self.through_both(images).square().mean(), "mean": images.mean()}

    def of_second(self, images: Tensor, labels: Tensor | None) -> Terms:
        self.seen["second"].append(images)
        self.first_gradient = [parameter.grad.clone() for parameter in self.first.parameters()]
        self.first_statistics = self.first[1].running_mean.clone()
        return {"loss": (self.through_both(images) - 1).square().mean()}

    def after_update(self, logs: Terms) -> None:
        logs["duel/updates"] = torch.tensor(float(len(self.updates)))
        self.updates.append(dict(logs))


def small_dcgan() -> DCGAN:
    return DCGAN(SMALL, DCGANConfig(latent=4, width=4))


MODELS = {
    "vae": lambda: VAE(SMALL, VAEConfig(latent=3, hidden=(8,), posterior="iaf", flow_hidden=(8,))),
    "gan": lambda: GAN(
        SMALL,
        GANConfig(
            latent=4,
            generator_hidden=(8,),
            discriminator_hidden=(8,),
            discriminator_turns=2,
            penalties=PenaltyConfig(spectral_norm=True, r1=1.0),
        ),
    ),
    "dcgan": small_dcgan,
}


def play(game: Trainer, updates: int, seed: int = 0) -> list[dict[str, float]]:
    """Updates on images that depend on the number of the update alone."""
    found = []
    for _ in range(updates):
        images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1000 * seed + game.step)).round()
        found.append({name: float(value) for name, value in game.update(images).items()})
    return found


def test_maximum_likelihood_finds_mean_and_deviation_of_the_data() -> None:
    torch.manual_seed(0)
    images = 0.3 + 0.2 * torch.randn(64, 1, 1, 1)
    game = Trainer(Normal())
    for _ in range(600):
        game.update(images)
    assert game.model.mean.item() == pytest.approx(float(images.mean()), abs=1e-3)
    assert game.model.log_std.exp().item() == pytest.approx(float(images.std(correction=0)), abs=1e-3)


def test_a_gan_finds_mean_and_deviation_of_a_gaussian() -> None:
    torch.manual_seed(0)
    config = GANConfig(
        latent=1,
        generator_hidden=(32,),
        discriminator_hidden=(32,),
        dropout=0.0,
        generator_rate=1e-3,
        discriminator_rate=1e-3,
        penalties=PenaltyConfig(r1=0.1),
    )
    game = Trainer(GAN(PIXEL, config), TrainerConfig(average=0.99))
    for _ in range(600):
        game.update((0.6 + 0.1 * torch.randn(64, 1, 1, 1)).clamp(0, 1))
    with game.evaluating() as model:
        samples = model.sample(4_000)
    assert float(samples.mean()) == pytest.approx(0.6, abs=0.03)
    assert float(samples.std()) == pytest.approx(0.1, abs=0.03)


def test_a_turn_gives_gradients_to_its_player_alone() -> None:
    torch.manual_seed(0)
    model, images = Duel(), torch.rand(6, 1, 1, 1)
    game = Trainer(model)
    game.update(images)
    assert [parameter.grad is not None for parameter in model.first.parameters()] == [True] * 4
    for kept, parameter in zip(model.first_gradient, model.first.parameters(), strict=True):
        assert torch.equal(kept, parameter.grad), "the second player's turn added to the first one's gradient"


def test_a_turn_moves_nobody_elses_weights_or_batch_norm() -> None:
    torch.manual_seed(0)
    model = Duel()
    game = Trainer(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    game._turn(game.players[0], torch.rand(6, 1, 1, 1), None)
    after = model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    # The bias before a batch norm has no effect, and rounding alone moves it.
    assert moved - {"first.0.bias"} == {
        "first.0.weight", "first.1.weight", "first.1.bias", "first.1.running_mean", "first.1.running_var",
        "first.1.num_batches_tracked",
    }  # fmt: skip


def test_an_update_moves_each_batch_norm_once() -> None:
    model = Duel()
    game = Trainer(model)
    for _ in range(3):
        game.update(torch.rand(6, 1, 1, 1))
    assert int(model.first[1].num_batches_tracked) == int(model.second[1].num_batches_tracked) == 3


def test_every_turn_of_a_player_sees_other_images() -> None:
    model, images = Duel(repeats=3), torch.rand(6, 1, 1, 1)
    Trainer(model).update(images)
    assert torch.equal(torch.cat(model.seen["first"]), images)
    assert len(model.seen["first"]) == 3
    assert torch.equal(model.seen["second"][0], images[:2])
    with pytest.raises(InputError, match="at least 3 rows"):
        Trainer(model).update(images[:2])


def test_the_models_own_rule_comes_after_the_turns_and_may_log() -> None:
    model = Duel()
    game = Trainer(model)
    logs = [game.update(torch.rand(6, 1, 1, 1)) for _ in range(2)]
    assert set(model.updates[0]) == {"first/loss", "first/mean", "second/loss", "duel/updates"}
    assert [float(each["duel/updates"]) for each in logs] == [0.0, 1.0]


def test_a_loss_that_is_not_finite_stops_the_training_and_is_named() -> None:
    game = Trainer(Duel())
    game.update(torch.rand(6, 1, 1, 1))
    images = torch.rand(6, 1, 1, 1)
    images[2] = torch.nan
    with pytest.raises(Diverged, match="first/loss at update 2") as stop:
        game.update(images)
    assert (stop.value.step, stop.value.term) == (2, "first/loss")


def test_a_state_that_diverged_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    game = Trainer(Duel())
    monkeypatch.setattr(game, "require_finite", lambda: None)  # as on a device that is looked at now and then
    monkeypatch.setattr(game.model, "require_data", lambda *batch: None)
    game.update(torch.full((6, 1, 1, 1), torch.inf))
    monkeypatch.undo()
    with pytest.raises(Diverged):
        game.state_dict()


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_state_whose_weights_are_not_finite_is_not_handed_out(average: float) -> None:
    game = Trainer(Duel(), TrainerConfig(average=average))
    game.update(torch.rand(6, 1, 1, 1))
    with torch.no_grad():  # as an optimizer's step does after the last loss was seen
        next(game.model.parameters()).fill_(torch.inf)
    with pytest.raises(Diverged, match="weights of the model at update 1") as stop:
        game.state_dict()
    assert stop.value.term == "weights of the model"


def test_a_clipped_gradient_has_the_length_asked_for_and_its_own_is_logged() -> None:
    game = Trainer(Normal(), TrainerConfig(clip=0.01))
    logs = game.update(torch.full((4, 1, 1, 1), 3.0))
    assert float(logs["fit/gradient_norm"]) == pytest.approx((3.0**2 + 8.0**2) ** 0.5)  # x - mean and 1 - (x - mean)²
    length = torch.stack([parameter.grad for parameter in game.model.parameters()]).norm()
    assert float(length) == pytest.approx(0.01, rel=1e-3)


def test_compiling_is_for_cuda() -> None:
    with pytest.raises(InputError, match="a CUDA device"):
        Trainer(Normal(), TrainerConfig(compile=True))


@pytest.mark.parametrize(
    ("penalties", "compiled"),
    [
        (PenaltyConfig(r1=0.1), ["generator"]),
        (PenaltyConfig(gradient=1.0), ["generator"]),
        (PenaltyConfig(entropy=1e-3), ["discriminator", "generator"]),
    ],
)
def test_losses_with_gradients_of_gradients_are_not_compiled(
    penalties: PenaltyConfig, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,), penalties=penalties)
    game = Trainer(GAN(SMALL, config))
    monkeypatch.setattr(game, "config", TrainerConfig(compile=True))
    monkeypatch.setattr(torch, "compile", lambda loss: (loss,))
    assert [each.name for each in game.players if isinstance(game._loss_of(each), tuple)] == compiled


def test_a_turn_that_does_not_count_changes_nothing_whatever_its_gradient() -> None:
    class Gated(Normal):
        open = 1.0

        def players(self) -> Sequence[Player]:
            return (Player("fit", self.parameters(), self.loss, self.rate, gate="counts"),)

        def loss(self, images: Tensor, labels: Tensor | None) -> Terms:
            return {**super().loss(images, labels), "counts": torch.tensor(self.open)}

    games = [Trainer(Gated()), Trainer(Gated())]
    images = torch.rand(4, 1, 1, 1)
    for game in games:
        game.update(images)
    games[1].model.open = 0.0
    for parameter in games[1].model.parameters():
        parameter.register_hook(lambda gradient: gradient * torch.nan)
    games[1].update(images)
    one, other = (game.state_dict() for game in games)
    assert all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"])
    assert str(one["optimisers"]) == str(other["optimisers"])


@pytest.mark.parametrize("name", [*GENERATORS, "coupling vae"])
def test_every_model_learns_in_bfloat16_nearly_as_in_float32(name: str) -> None:
    kind, shape = GENERATORS.get(name, VAE), ImageShape(channels=1, height=8, width=8, n_classes=10)
    settings = VAEConfig(posterior="coupling") if name == "coupling vae" else kind.config_type()
    images, labels = torch.rand(32, 1, 8, 8).round(), torch.arange(32) % 10
    found, later = [], []
    for config in (TrainerConfig(), TrainerConfig(precision="bfloat16")):
        torch.manual_seed(0)
        game = Trainer(kind(shape, settings), config)
        found.append(game.update(images, labels))
        later.append(game.update(images, labels))
        assert all(parameter.dtype == torch.float32 for parameter in game.model.parameters())
    full, half = found
    first = f"{game.players[0].name}/loss"  # of the same weights; the next player's are already others
    assert later[1][first] != later[0][first]  # the first ones are equal where a last layer starts with zeros
    assert float(half[first]) == pytest.approx(float(full[first]), rel=0.05, abs=0.01)
    assert all(value.dtype == torch.float32 for value in half.values())  # losses are not computed in half precision


def test_learning_rates_halve_in_their_half_life_and_do_not_start_anew() -> None:
    def rate(game: Trainer) -> float:
        return game.optimizers["first"].param_groups[0]["lr"]

    games = [Trainer(Duel(), TrainerConfig(half_life=2.0)) for _ in range(2)]
    base = games[0].players[0].learning_rate
    for expected in (1.0, 0.5**0.5, 0.5):
        games[0].update(torch.rand(6, 1, 1, 1))
        assert rate(games[0]) == pytest.approx(base * expected)
    games[1].load_state_dict(games[0].state_dict())
    games[1].update(torch.rand(6, 1, 1, 1))
    assert rate(games[1]) == pytest.approx(base * 0.5**1.5)


def test_settings_that_cannot_work_are_refused() -> None:
    for settings in ({"average": 1.0}, {"clip": 0.0}, {"half_life": 0.0}):
        with pytest.raises(InputError):
            TrainerConfig(**settings)
    for settings in ({"learning_rate": 0.0}, {"betas": (0.5, 1.0)}, {"repeats": 0}, {"parameters": []},
                     {"gate": "counts", "optimizer": torch.optim.Adamax}):  # fmt: skip
        given = {"name": "a", "parameters": [nn.Parameter(torch.ones(1))], "learning_rate": 1.0}
        with pytest.raises(InputError):
            Player(loss=lambda images, labels: {}, **(given | settings))


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_numbers_and_another_does_not(name: str) -> None:
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append(play(Trainer(MODELS[name](), TrainerConfig(average=0.9)), 3))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_and_loaded_game_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    config = TrainerConfig(average=0.9, clip=1.0)
    torch.manual_seed(0)
    game = Trainer(MODELS[name](), config)
    play(game, 3)
    save_checkpoint(tmp_path, 3, {"game": game.state_dict(), "rng": rng_state()})
    expected, state = play(game, 3), game.state_dict()
    torch.manual_seed(7)
    again = Trainer(MODELS[name](), config)
    loaded = load_checkpoint(tmp_path).state
    again.load_state_dict(loaded["game"])
    set_rng_state(loaded["rng"])
    assert play(again, 3) == expected
    assert again.step == 6
    for part in ("model", "average"):
        one, two = (each[part] if part == "model" else each[part]["average"] for each in (state, again.state_dict()))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_state_of_another_game_is_refused() -> None:
    state = Trainer(small_dcgan()).state_dict()
    with pytest.raises(InputError, match="the same players and average"):
        Trainer(small_dcgan(), TrainerConfig(average=0.9)).load_state_dict(state)
    with pytest.raises(InputError, match="the same players and average"):
        Trainer(Normal()).load_state_dict(state)


def test_a_model_is_evaluated_with_averaged_weights_and_trained_with_its_own() -> None:
    torch.manual_seed(0)
    game = Trainer(Duel(), TrainerConfig(average=0.9))
    game.update(torch.rand(6, 1, 1, 1))
    game.update(torch.rand(6, 1, 1, 1))
    own = {name: value.clone() for name, value in game.model.state_dict().items()}
    with game.evaluating() as model:
        assert not model.training
        inside = {name: value.clone() for name, value in model.state_dict().items()}
    assert game.model.training
    assert all(torch.equal(own[name], value) for name, value in game.model.state_dict().items())
    differing = {name.partition(".")[0] for name in own if not torch.equal(own[name], inside[name])}
    assert differing == {"second"}, "only what is averaged"
