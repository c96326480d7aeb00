"""The adapter of torch-fidelity's Inception: nothing is downloaded, images arrive as it wants them."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.generators.metrics.inception import Extractor, InceptionExtractor

MODULE = "torch_fidelity.feature_extractor_inceptionv3"


class Stand(nn.Module):
    """Takes what torch-fidelity's class takes; features are the images' brightness, logits the rows' numbers."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None):
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        assert feature_extractor_weights_path is not None, "None would download them"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        bright = images.float().mean((2, 3))
        return bright, torch.arange(float(len(bright)))[:, None] * torch.tensor([0.0, 1.0])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType(MODULE)
    module.FeatureExtractorInceptionV3 = Stand
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, MODULE, module)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(InputError, match="pip install torch-fidelity"):
        InceptionExtractor()


@pytest.mark.usefixtures("installed")
def test_without_the_weights_it_says_where_they_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights\.pth; got no file"):
        InceptionExtractor(tmp_path / "weights.pth")


@pytest.mark.usefixtures("installed")
def test_grey_images_become_three_channels_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"weights")
    extractor = InceptionExtractor(tmp_path / "weights.pth")
    assert isinstance(extractor, Extractor)
    assert extractor.hash == hashlib.sha256(b"weights").hexdigest()
    images = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 1, 4, 4)
    assert extractor.features(images).tolist() == [[0.0] * 3, [128.0] * 3, [255.0] * 3]
    expected = torch.tensor([0.0, 1.0, 2.0]).sigmoid()
    torch.testing.assert_close(extractor.probs(images), torch.stack([1 - expected, expected], 1))
    with pytest.raises(InputError, match="1 or 3 channels"):
        extractor.features(torch.zeros(1, 2, 4, 4))
