"""Features of images that start as the encoder of an image model."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy

from rlgen.generators import IAFVAE, VAE, ImageShape
from rlgen.generators.vae import IAFVAEConfig, VAEConfig
from rlgen.sb3 import encoded_images
from rlgen.sb3.encoded_images import EncodedImages, encoded_parts, pretrain, settings_of
from rlgen.sb3.image_features import DictFeatures, encoding_extractor

SEEN = spaces.Box(0, 255, (3, 7, 7), np.uint8)
SMALL = VAEConfig(latent=4, hidden=(16, 8), activation="relu")


def policy_of(space: spaces.Space, frozen: bool = False, config: VAEConfig = SMALL, **more: Any) -> ActorCriticPolicy:
    kind, arguments = encoding_extractor(space, settings_of(config, frozen))
    base = MultiInputActorCriticPolicy if isinstance(space, spaces.Dict) else ActorCriticPolicy
    options = {"features_extractor_class": kind, "features_extractor_kwargs": arguments, **more}
    return base(space, spaces.Discrete(2), lambda _: 1e-2, **options)


@pytest.mark.parametrize("kind", [VAE, IAFVAE])
def test_the_features_are_the_means_of_the_posterior(kind: type[VAE]) -> None:
    config = IAFVAEConfig(latent=4, hidden=(16, 8)) if kind is IAFVAE else SMALL
    model = kind(ImageShape(channels=3, height=7, width=7), config)
    features = EncodedImages(SEEN, **settings_of(config, False))
    features.start_from(model)
    images = torch.rand(5, 3, 7, 7)
    gaussian = getattr(model.posterior, "base", model.posterior)
    expected, _ = gaussian.mean_and_log_std(model.encoder(images.flatten(1)))
    torch.testing.assert_close(features(images), expected)


def test_of_a_gaussian_posterior_they_are_the_mean_of_its_draws() -> None:
    torch.manual_seed(0)
    model = VAE(ImageShape(channels=3, height=7, width=7), SMALL)
    features = EncodedImages(SEEN, **settings_of(SMALL, False))
    features.start_from(model)
    images = torch.rand(2, 3, 7, 7)
    draws, _ = model.posterior.rsample(model.encoder(images.flatten(1)), 40_000)
    torch.testing.assert_close(features(images), draws.mean(0), rtol=0, atol=0.05)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_encoder_stays_and_another_learns(frozen: bool) -> None:
    policy = policy_of(SEEN, frozen)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    rows = torch.randint(0, 255, (8, 3, 7, 7), dtype=torch.uint8)
    (-policy.get_distribution(rows).log_prob(torch.zeros(8)).mean()).backward()
    policy.optimizer.step()
    after = policy.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert "action_net.weight" in moved
    assert any("features_extractor" in name for name in moved) != frozen


def test_demonstrated_images_train_all_encoders_of_a_policy_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_images, "PRETRAINED", VAEConfig(latent=4, hidden=(16,), likelihood="gaussian"))
    torch.manual_seed(0)
    observed = spaces.Dict({"view": SEEN, "kind": spaces.Discrete(3)})
    policy = policy_of(observed, config=encoded_images.PRETRAINED, share_features_extractor=False)
    parts = list(encoded_parts(policy).values())
    rows = {"view": torch.randint(10, 20, (40, 3, 7, 7), dtype=torch.uint8), "kind": torch.zeros(40, 1).long()}
    pretrain(policy, lambda: iter([rows]))
    assert not parts[0].low.any(), "none waits"
    for part in parts:
        part.pretraining = 3
    pretrain(policy, lambda: iter([rows]))
    assert len(parts) >= 2
    for part in parts:
        assert part.pretraining == 0
        torch.testing.assert_close(part.low, torch.full((3, 1, 1), 10 / 255))
        scaled = part.scaled(rows["view"] / 255)
        assert scaled.min() == 0
        torch.testing.assert_close(scaled.max(), torch.tensor(1.0))
        torch.testing.assert_close(part.mean.weight, parts[0].mean.weight, rtol=0, atol=0)
    assert isinstance(policy.pi_features_extractor, DictFeatures)
    assert policy.get_distribution(rows).distribution.logits.shape == (40, 2)
