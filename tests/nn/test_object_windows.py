"""Windows of objects: what is read where, what is written where, in either precision."""

import torch

from rlgen.nn.object_windows import Place, Places, WindowCoder, read, write


def place(scale: float, x: float, y: float) -> Place:
    return Place(*(torch.tensor([value]) for value in (scale, x, y)))


def test_zeros_are_the_median_place_and_numbers_are_standard_deviations_from_it() -> None:
    places = Places(0.4, 0.1, 0.5)
    middle = places(torch.zeros(2, 3))
    torch.testing.assert_close(middle.scale, torch.full((2,), 0.4))
    assert middle.x.tolist() == middle.y.tolist() == [0, 0]
    moved = places(torch.tensor([[2.0, -1.0, 3.0]]))
    torch.testing.assert_close(moved.scale.log(), torch.tensor([0.4]).log() + 0.2)
    assert (moved.x.item(), moved.y.item()) == (-0.5, 1.5)


def test_a_window_of_half_the_side_reads_and_writes_one_quarter_of_the_image() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8)
    corner = place(0.5, 0.5, -0.5)  # to the right, above
    torch.testing.assert_close(read(image, corner, 4), image[:, :, :4, 4:])
    written = write(read(image, corner, 4), corner, 8, 8)
    expected = torch.zeros_like(image)
    expected[:, :, :4, 4:] = image[:, :, :4, 4:]
    torch.testing.assert_close(written, expected)


def test_reading_and_writing_keep_the_precision_of_their_inputs_under_autocast() -> None:
    image = torch.rand(1, 1, 8, 8)
    somewhere = place(0.37, 0.123, -0.2)
    exact = write(read(image, somewhere, 4), somewhere, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = write(read(image, somewhere, 4), somewhere, 8, 8)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)


def test_decoded_windows_are_dark_at_first_and_windows_have_features() -> None:
    torch.manual_seed(0)
    coder = WindowCoder(channels=3, cells=5, latent=2, hidden=7)
    windows = coder.decode(torch.randn(50, 2))
    assert windows.shape == (50, 3, 5, 5)
    assert 0 < windows.mean() < 0.2
    assert coder.features(windows).shape == (50, 7)
