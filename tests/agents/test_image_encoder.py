"""Policies of images that start from the encoder of an image model, on the command line and in Python."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import BC, GAIL, BCConfig, GAILConfig, LearnerConfig
from rlgen.agents.cli import main
from rlgen.agents.commands.train_bc import TrainBC
from rlgen.agents.commands.train_gail import TrainGAIL
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.agents.image_encoder import EncoderConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, ImageSet
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.generators import GAN, VAE, ImageShape
from rlgen.generators.gan import GANConfig
from rlgen.generators.vae import VAEConfig
from rlgen.rewards import AdversarialConfig
from rlgen.runs import Result
from rlgen.runs.image_files import save_image_model
from rlgen.sb3 import load_policy
from rlgen.sb3.encoded_images import encoded_parts
from rlgen.sb3.saved_model import read_saved_model

from .tasks import Walker

GRID = "test/GridImage-v0"
RUN = "--device cpu --threads 1 --no-video --episodes 2"
PPO_ = "--n-envs 2 --learner.hidden 8 --learner.batch-size 16 --learner.n-steps 16 --learner.n-epochs 1"
QUICK = "--bc.max-updates 4 --bc.check-every 2 --bc.plain-below 0"


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    path = tmp_path / "demos.npz"
    Demonstrations.record(Walker(), make_vec(GRID, 2), 4).save(path)
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder with a VAE of such images."""
    folder = tmp_path / "vae"
    folder.mkdir()
    torch.manual_seed(0)
    save_image_model(folder, VAE(ImageShape(channels=3, height=7, width=7), VAEConfig(latent=5, hidden=(12,))))
    return folder


def train(agent: str, options: str, run: Path, demos: Path | None = None, task: str = GRID) -> int:
    given = [] if demos is None else ["--demos", str(demos)]
    return main(["train", agent, "--env", task, *given, "--out", str(run), *RUN.split(), *options.split()])


def encoder_of(policy: Path) -> dict[str, torch.Tensor]:
    found = read_saved_model(policy).tensors
    return {name: each for name, each in found.items() if name.startswith("features_extractor.")}


def test_a_clone_with_a_frozen_encoder_of_the_demonstrated_images_is_published(demos: Path, tmp_path: Path) -> None:
    assert train("bc", f"{QUICK} --hidden 8 --encoder.pretrain 3 --encoder.freeze", tmp_path / "run", demos) == 0
    assert encoder_of(tmp_path / "run" / "policy.zip")["features_extractor.mean.weight"].shape == (64, 256)
    assert main(["publish", str(tmp_path / "run"), "--to", str(tmp_path / "published")]) == 0
    assert main(["evaluate", str(tmp_path / "published"), "--out", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["return_mean"] == Result.read(tmp_path / "run").returns.return_mean


@pytest.mark.parametrize("freeze", [False, True])
def test_a_state_has_the_encoder_and_is_continued_without_training_it_again(freeze: bool, demos: Path) -> None:
    quick = BCConfig(max_updates=4, check_every=2, plain_below=0)
    found = []
    for seed in (0, 1):
        encoder = EncoderConfig(pretrain=3, freeze=freeze)
        config = LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, n_epochs=1, encoder=encoder)
        model = make_model(config, make_vec(GRID, 2, seed=0), seed)
        discriminator = AdversarialConfig(hidden=(8,), batch_size=16, filters=2)
        agent = GAIL(model, Demonstrations.load(demos), GAILConfig(bc=quick, discriminator=discriminator, average=0))
        found.append(agent)
    found[0].learn(32)
    found[1].load_state_dict(found[0].state_dict())
    first, second = (each.model.policy for each in found)
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    before = {name: value.clone() for name, value in second.features_extractor.state_dict().items()}
    assert (before["gain"] > 1).any()
    found[1].model.get_env().reset()
    found[1].learn(32)
    after = second.features_extractor.state_dict()
    assert torch.equal(after["mean.weight"], before["mean.weight"]) == freeze
    assert torch.equal(after["gain"], before["gain"]), "the range of the demonstrated images"


@pytest.mark.parametrize("kind", [TrainGAIL, TrainRL, TrainBC])
def test_settings_are_recorded_with_an_absolute_path(kind: type, monkeypatch: Any, trained: Path, demos: Path) -> None:
    monkeypatch.chdir(trained.parent)
    encoder = EncoderConfig(run=Path(trained.name), freeze=True)
    own = {"encoder": encoder} if kind is TrainBC else {"learner": LearnerConfig(encoder=encoder)}
    shown = {} if kind is TrainRL else {"demos": demos}
    recorded = kind(env=GRID, out=trained.parent / "run", **shown, **own).recorded()
    recorded.pop("agent")
    again = kind.restored(recorded)
    assert (again if kind is TrainBC else again.learner).encoder == EncoderConfig(run=trained.resolve(), freeze=True)
    plain = kind(env=GRID, out=trained.parent / "run", **shown).recorded()
    assert "encoder" not in str(plain)


def test_reinforcement_learning_starts_from_a_run_and_keeps_it_frozen(trained: Path, tmp_path: Path) -> None:
    options = f"{PPO_} --learner.encoder.run {trained} --learner.encoder.freeze --steps 64"
    assert train("rl", options, tmp_path / "run") == 0
    found = encoder_of(tmp_path / "run" / "policy.zip")
    torch.manual_seed(0)
    model = VAE(ImageShape(channels=3, height=7, width=7), VAEConfig(latent=5, hidden=(12,)))
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(found[f"features_extractor.encoder.{name}"], value)
    assert torch.equal(found["features_extractor.mean.weight"], model.posterior.head.weight[:5])


def test_dagger_starts_every_cloning_from_a_run_and_keeps_it_frozen(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expert = make_model(LearnerConfig(hidden=(8,), n_steps=16, batch_size=16), make_vec(GRID, 2), 1)
    expert.save(tmp_path / "expert.zip")
    asked = "--steps 128 --n-envs 2 --hidden 8 --dagger.steps-per-round 64 --dagger.bc.max-updates 4"
    options = f"{asked} --dagger.bc.check-every 2 --dagger.bc.plain-below 0 --expert {tmp_path / 'expert.zip'}"
    assert train("dagger", f"{options} --encoder.run {trained} --encoder.freeze", tmp_path / "run") == 0
    found = encoder_of(tmp_path / "run" / "policy.zip")
    torch.manual_seed(0)
    model = VAE(ImageShape(channels=3, height=7, width=7), VAEConfig(latent=5, hidden=(12,)))
    assert torch.equal(found["features_extractor.mean.weight"], model.posterior.head.weight[:5])
    assert train("dagger", f"{options} --encoder.pretrain 3", tmp_path / "other") == 2
    assert "a trained encoder for DAgger; got --encoder.pretrain 3" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("task", [GRID, "test/GridDictionary-v0"])
def test_a_saved_model_opens_in_stable_baselines_and_in_rlgen(task: str, trained: Path, tmp_path: Path) -> None:
    env = make_vec(task, 4, seed=0)
    config = LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, encoder=EncoderConfig(run=trained, freeze=True))
    model = make_model(config, env, 0)
    model.save(tmp_path / "policy.zip")
    again = PPO.load(tmp_path / "policy.zip", env)
    torch.testing.assert_close(again.policy.state_dict(), model.policy.state_dict(), rtol=0, atol=0)
    (part,) = encoded_parts(again.policy).values()
    assert part.frozen
    seen = env.reset()
    expected, _ = again.predict(seen, deterministic=True)
    assert np.array_equal(load_policy(tmp_path / "policy.zip", env).predict(seen, deterministic=True)[0], expected)


def test_a_clone_walks_with_an_encoder(tmp_path: Path) -> None:
    env = make_vec(GRID, 4, seed=0)
    shown = Demonstrations.record(Walker(), env, 24)
    model = make_model(
        LearnerConfig(hidden=(32,), n_steps=16, batch_size=16, encoder=EncoderConfig(pretrain=60)), env, 0
    )
    result = BC(model, shown, BCConfig(max_updates=300, check_every=50, plain_below=0)).learn()
    (part,) = encoded_parts(model.policy).values()
    assert part.pretraining == 0
    assert result.held_out_loss < 0.5 < np.log(7)


def test_an_image_model_learns_the_images_of_demonstrations(demos: Path, tmp_path: Path) -> None:
    shown = Demonstrations.load(demos)
    sets = [ImageSet.load(str(demos), split) for split in ("train", "test")]
    images = torch.cat([each.images for each in sets])
    assert np.array_equal(images, np.moveaxis(np.asarray(shown.observations[:]), -1, 1))
    assert len(sets[1]) == len(shown) // 5
    options = "--steps 3 --batch-size 4 --measured 4 --importance-samples 2 --classifier none --vae.hidden 8"
    out = tmp_path / "images"
    assert main(["train", "image", "--data", str(demos), "--device", "cpu", *options.split(), "--out", str(out)]) == 0
    config = LearnerConfig(hidden=(8,), n_steps=16, batch_size=16, encoder=EncoderConfig(run=out))
    (part,) = encoded_parts(make_model(config, make_vec(GRID, 1), 0).policy).values()
    assert part.features_dim == 20


def test_a_start_that_does_not_fit_is_refused(trained: Path, tmp_path: Path, demos: Path) -> None:
    def made(encoder: EncoderConfig, task: str = GRID) -> Any:
        return make_model(LearnerConfig(n_steps=16, batch_size=16, encoder=encoder), make_vec(task, 1), 0)

    with pytest.raises(InputError, match="observations with one image"):
        made(EncoderConfig(run=trained), "CartPole-v1")
    with pytest.raises(InputError, match=r"images of 3 × 8 × 8, .* got 3 × 7 × 7"):
        made(EncoderConfig(run=trained), "test/Brightness-v0")
    other = tmp_path / "gan"
    other.mkdir()
    save_image_model(other, GAN(ImageShape(channels=3, height=7, width=7), GANConfig()))
    with pytest.raises(InputError, match=r"the run of a VAE .* got a GAN"):
        made(EncoderConfig(run=other))
    with pytest.raises(InputError, match=r"model\.json"):
        made(EncoderConfig(run=tmp_path / "nothing"))


def test_reinforcement_learning_has_no_demonstrations_to_train_an_encoder_on(tmp_path: Path, capsys: Any) -> None:
    assert train("rl", f"{PPO_} --learner.encoder.pretrain 3 --steps 64", tmp_path / "run") == 2
    assert "a training without demonstrations" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"freeze": True}, {"pretrain": -1}, {"run": Path("vae"), "pretrain": 3}])
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        EncoderConfig(**wrong)
