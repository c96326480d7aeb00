"""LSTMs over images against the equations of an LSTM, pixel by pixel."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.nn.masked_conv import colors_of
from rlgen.nn.pixel_lstm import DiagonalBiLSTM, DiagonalLSTM, LineLSTM, RowLSTM, skew, unskew

HEIGHT, WIDTH, INPUTS, FEATURES = 4, 5, 3, 6
X = torch.randn(2, INPUTS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)).double()


def made(kind: type[LineLSTM], **settings: int) -> LineLSTM:
    torch.manual_seed(0)
    return kind(colors_of(INPUTS, 1), colors_of(FEATURES, 1), **settings).double()


def pixel_by_pixel(lstm: LineLSTM, nearest: list[tuple[int, int]], before: tuple[int, int]) -> Tensor:
    """Hidden states by the equations of an LSTM. `nearest`: places (up, left) of the hidden states that a pixel reads,
    in their order; `before`: that of its cell."""
    gates, zeros = lstm.input(X), torch.zeros(len(X), FEATURES).double()
    hidden: dict[tuple[int, int], Tensor] = {}
    cell: dict[tuple[int, int], Tensor] = {}
    for row, column in product(range(HEIGHT), range(WIDTH)):
        read = [hidden.get((row - up, column - left), zeros) for up, left in nearest]
        total = gates[:, :, row, column] + F.linear(torch.cat(read, 1), lstm.state.weight)
        write, keep, content, show = total.split(FEATURES, 1)
        old = cell.get((row - before[0], column - before[1]), zeros)
        cell[row, column] = keep.sigmoid() * old + write.sigmoid() * content.tanh()
        hidden[row, column] = show.sigmoid() * cell[row, column].tanh()
    return torch.stack(list(hidden.values()), -1).unflatten(-1, (HEIGHT, WIDTH))


def test_skewed_diagonals_are_columns() -> None:
    image = torch.arange(6.0).view(2, 3)
    assert skew(image, -1.0).tolist() == [[0, 1, 2, -1], [-1, 3, 4, 5]]
    tall = torch.arange(6.0).view(3, 2)
    assert skew(tall).tolist() == [[0, 1, 0, 0], [0, 2, 3, 0], [0, 0, 4, 5]]


def test_unskewing_is_the_inverse_of_skewing() -> None:
    for height, width in ((1, 1), (1, 4), (4, 1), (3, 5), (5, 3)):
        image = torch.randn(height, width, 2, 3)
        assert torch.equal(unskew(skew(image)), image)


def test_a_row_lstm_reads_the_three_nearest_states_of_the_row_above() -> None:
    lstm = made(RowLSTM, size=3)
    torch.testing.assert_close(lstm(X), pixel_by_pixel(lstm, [(1, 1), (1, 0), (1, -1)], before=(1, 0)))


def test_a_diagonal_lstm_reads_the_states_above_and_to_the_left() -> None:
    lstm = made(DiagonalLSTM)
    torch.testing.assert_close(lstm(X), pixel_by_pixel(lstm, [(1, 0), (0, 1)], before=(0, 1)))


def test_the_bilstm_adds_the_mirrored_lstm_a_row_later() -> None:
    torch.manual_seed(0)
    both = DiagonalBiLSTM(colors_of(INPUTS, 1), colors_of(FEATURES, 1)).double()
    left, right = both.left(X), both.right(X.flip(-1)).flip(-1)
    torch.testing.assert_close(both(X)[:, :, 0], left[:, :, 0])
    torch.testing.assert_close(both(X)[:, :, 1:], left[:, :, 1:] + right[:, :, :-1])


def test_what_lies_outside_of_the_image_has_finite_gradients() -> None:
    lstm = made(DiagonalLSTM)
    lstm(X).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in lstm.parameters())
