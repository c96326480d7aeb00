"""Windows of a text: every place is drawn, and a stream goes on where it was saved."""

import pytest
import torch

from rlgen.data import TextWindows
from rlgen.errors import InputError


def test_windows_are_parts_of_the_text_from_every_place() -> None:
    windows = TextWindows(torch.arange(10), rows=100, length=4, seed=0)
    (found,) = next(windows)
    assert found.shape == (100, 4)
    assert torch.equal(found - found[:, :1], torch.arange(4).expand(100, -1))
    assert set(found[:, 0].tolist()) == set(range(7))
    assert windows.size == 400


def test_a_stream_goes_on_where_it_was_saved() -> None:
    windows, again = TextWindows(torch.arange(50), 3, 5, seed=1), TextWindows(torch.arange(50), 3, 5, seed=2)
    next(windows)
    again.load_state_dict(windows.state_dict())
    assert torch.equal(next(windows)[0], next(again)[0])


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(InputError, match="a text of at least 5 tokens, one window; got a text of 4 tokens"):
        TextWindows(torch.arange(4), 1, 5)
