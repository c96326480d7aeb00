"""Features of images and dictionaries, and the statistics inside them."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy

from rlgen.errors import InputError
from rlgen.sb3.features import NormalisedObservations, fit_normalizers, has_normalizer, merge_rollout
from rlgen.sb3.image_features import DictFeatures, ImageFeatures, extractor_for
from rlgen.sb3.plain_policy import entries_of_space, space_of_entries


def image(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


@pytest.mark.parametrize("shape", [(3, 2, 5), (1, 4, 4), (3, 7, 7), (2, 36, 40)])
def test_an_image_of_any_size_has_features(shape: tuple[int, ...]) -> None:
    features = ImageFeatures(image(*shape))
    assert features(torch.rand(2, *shape)).shape == (2, features.features_dim) == (2, 256)


def test_channels_of_demonstrated_images_are_normalized() -> None:
    observed = image(3, 7, 7)
    policy = ActorCriticPolicy(observed, spaces.Discrete(2), lambda _: 0.0, features_extractor_class=ImageFeatures)
    scale = torch.tensor([50.0, 100.0, 200.0])[:, None, None]
    shown = (torch.rand(40, 3, 7, 7) * scale).byte()
    fit_normalizers(policy, lambda: iter(shown.split(7)))
    normalizer = policy.features_extractor.normaliser
    pixels = shown.double().movedim(1, -1).reshape(-1, 3) / 255
    torch.testing.assert_close(normalizer.mean.double(), pixels.mean(0), rtol=1e-4, atol=1e-5)
    seen = normalizer(pixels.float())
    torch.testing.assert_close(seen.std(0), torch.ones(3), rtol=0.1, atol=0)
    assert seen.abs().max() < 10
    assert has_normalizer(policy)
    rollout = torch.randint(0, 255, (5, 4, 3, 7, 7), dtype=torch.uint8)
    merge_rollout(policy, rollout)
    joined = torch.cat([pixels, rollout.double().movedim(2, -1).reshape(-1, 3) / 255])
    torch.testing.assert_close(normalizer.mean.double(), joined.mean(0), rtol=1e-4, atol=1e-5)


def test_entries_of_a_dictionary_are_normalized_apart_and_discrete_ones_are_not() -> None:
    observed = spaces.Dict({"view": image(3, 7, 7), "speed": spaces.Box(-9, 9, (2,)), "kind": spaces.Discrete(3)})
    policy = MultiInputActorCriticPolicy(
        observed,
        spaces.Discrete(2),
        lambda _: 0.0,
        features_extractor_class=DictFeatures,
        share_features_extractor=False,
    )
    rows = {"view": torch.full((20, 3, 7, 7), 51).byte(), "speed": 5 + torch.randn(20, 2), "kind": torch.arange(20) % 3}
    fit_normalizers(policy, lambda: iter([rows]))
    for features in (policy.pi_features_extractor, policy.vf_features_extractor):
        torch.testing.assert_close(features.parts["speed"].normaliser.mean, rows["speed"].mean(0))
        torch.testing.assert_close(features.parts["view"].normaliser.mean, torch.full((3,), 0.2))
    assert policy.get_distribution(rows).distribution.logits.shape == (20, 2)
    assert policy.pi_features_extractor.features_dim == 256 + 2 + 3


def test_the_extractor_fits_the_space() -> None:
    assert extractor_for(image(3, 7, 7)) is ImageFeatures
    assert extractor_for(spaces.Dict({"a": image(3, 7, 7)})) is DictFeatures
    assert extractor_for(spaces.Box(0, 1, (3, 7, 7))) is NormalisedObservations


def test_spaces_of_dictionaries_and_images_are_written_small_and_come_back() -> None:
    space = spaces.Dict({"view": image(3, 84, 84), "speed": spaces.Box(-np.inf, 9, (2,)), "kind": spaces.Discrete(3)})
    written = entries_of_space(space)
    assert written["spaces"]["view"]["high"] == 255
    assert space_of_entries(written) == space


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "Dict", "spaces": {"a": {"kind": "Dict", "spaces": {}}}},
        {"kind": "Box", "shape": [10**6, 10**6], "dtype": "uint8", "low": 0, "high": 255},
        {"kind": "Dict", "spaces": [1]},
    ],
)
def test_spaces_that_no_policy_has_are_refused(wrong: dict) -> None:
    with pytest.raises((ValueError, AttributeError, TypeError)) as refused:
        space_of_entries(wrong)
    assert not isinstance(refused.value, InputError)


def test_no_row_of_any_batch_is_clipped() -> None:
    observed = spaces.Box(-np.inf, np.inf, (2,))
    policy = ActorCriticPolicy(
        observed, spaces.Discrete(2), lambda _: 0.0, features_extractor_class=NormalisedObservations
    )
    rows = torch.cat([torch.full((1, 2), 500.0), torch.randn(400, 2)])
    fit_normalizers(policy, lambda: iter(rows.split(100)))
    seen = policy.features_extractor(rows)
    torch.testing.assert_close(
        seen[0], (rows[0] - policy.features_extractor.normaliser.mean) / policy.features_extractor.normaliser.std
    )
