"""Convolutions by patches against PyTorch's own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlgen.nn import patch_conv
from rlgen.nn.patch_conv import PatchConv2d, PatchConvTranspose2d

SETTINGS = [
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 3, "padding": 1, "bias": False},
    {"kernel_size": (5, 3), "stride": (2, 1), "padding": (0, 2)},
]


def results(layer: nn.Module, x: Tensor, of_input: bool) -> list[Tensor]:
    """The result, its gradients, and the gradients of the squared gradient of the input if `of_input`."""
    x = x.clone().requires_grad_(of_input)
    inputs = [*layer.parameters(), *([x] if of_input else [])]
    result = layer(x)
    first = torch.autograd.grad(result.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(first[-1].square().sum(), inputs) if of_input else []
    return [result, *first, *second]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("of_input", [True, False])
@pytest.mark.parametrize("few", [1, 3, 5])
@pytest.mark.parametrize("layer", ["down", "up", "up from a pixel"])
def test_results_and_gradients_are_those_of_pytorch(
    layer: str, few: int, of_input: bool, settings: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    if layer == "up from a pixel" and settings["kernel_size"] != 4:
        settings = {**settings, "padding": 0}
    own: nn.Module
    if layer == "down":
        own, peer = PatchConv2d(few, 6, **settings), nn.Conv2d(few, 6, **settings)
        x = torch.randn(2, few, 8, 11)
    else:
        own, peer = PatchConvTranspose2d(6, few, **settings), nn.ConvTranspose2d(6, few, **settings)
        x = torch.randn(2, 6, 1, 1) if "pixel" in layer else torch.randn(2, 6, 5, 4)
    peer.load_state_dict(own.state_dict())
    own, peer, x = own.double(), peer.double(), x.double()
    for found, expected in zip(results(own, x, of_input), results(peer, x, of_input), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("largest", [0, 2**21])
def test_large_batches_take_pytorchs_own(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_conv, "LARGEST", largest)
    called: list[str] = []
    for name in ("unfold", "fold"):
        own = getattr(torch.nn.functional, name)
        monkeypatch.setattr(
            patch_conv.F, name, lambda *given, name=name, own=own, **named: called.append(name) or own(*given, **named)
        )
    PatchConv2d(1, 3, 4, 2, 1)(torch.randn(2, 1, 8, 8, requires_grad=True))
    PatchConvTranspose2d(3, 1, 4, 2, 1)(torch.randn(2, 3, 4, 4))
    assert called == (["unfold", "fold"] if largest else [])


def test_a_spectral_norm_divides_their_weights() -> None:
    torch.manual_seed(0)
    own, peer = PatchConv2d(1, 3, 4, 2, 1), nn.Conv2d(1, 3, 4, 2, 1)
    peer.load_state_dict(own.state_dict())
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    for layer in (own, peer):
        torch.manual_seed(1)
        nn.utils.parametrizations.spectral_norm(layer)
    torch.testing.assert_close(own(x), peer(x))
    assert torch.linalg.matrix_norm(own.weight.detach().flatten(1), 2) == pytest.approx(1, rel=0.2)
