"""Functions that a GPU does in one launch, and what may not stand in the way of it."""

import logging

import pytest
import torch
from torch import Tensor

from rlgen.nn.recorded import Recorded, make_recordable, set_rate

from ..no_waiting import Waits, no_waiting


def test_a_recorded_function_is_itself_on_a_cpu() -> None:
    recorded = Recorded(lambda x, y: {"sum": x + y})
    for call in range(8):
        assert recorded(torch.ones(2), torch.full((2,), float(call)))["sum"].tolist() == [1 + call] * 2


@pytest.mark.gpu
def test_a_recorded_function_does_on_a_gpu_what_it_does() -> None:
    total = torch.zeros(3, device="cuda")

    def add(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        total.add_(x.sum() * y)
        return {"total": total.clone()}

    recorded = Recorded(add)
    two = torch.full((), 2.0, device="cuda")
    for call in range(1, 9):
        assert recorded(torch.ones(4, device="cuda"), two)["total"][0].item() == 8 * call
    assert recorded(torch.ones(2, device="cuda"), two)["total"][0].item() == 68


@pytest.mark.gpu
def test_a_function_that_waits_goes_on_unrecorded_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def waits(x: Tensor) -> dict[str, Tensor]:
        return {"twice": x * (2 if x.sum().item() > 0 else 0)}

    recorded = Recorded(waits)
    with caplog.at_level(logging.WARNING, "rlgen"):
        for _ in range(6):
            assert recorded(torch.ones(2, device="cuda"))["twice"].tolist() == [2, 2]
    assert caplog.text.count("goes on unrecorded") == 1


def test_a_rate_is_filled_in_where_it_is_a_tensor() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.Adam([weight], 0.5, fused=True)
    set_rate(optimiser, 0.25)
    assert optimiser.param_groups[0]["lr"] == 0.25
    make_recordable(optimiser, "cpu")
    rate = optimiser.param_groups[0]["lr"]
    assert isinstance(rate, Tensor)
    for new in (0.125, torch.tensor(0.0625)):
        set_rate(optimiser, new)
        assert optimiser.param_groups[0]["lr"] is rate
        assert rate.item() == float(new)
    optimiser.load_state_dict(torch.optim.Adam([weight], 0.75, fused=True).state_dict())
    make_recordable(optimiser, "cpu")
    weight.grad = torch.ones(2)
    optimiser.step()
    torch.testing.assert_close(weight.detach(), torch.full((2,), -0.75))


MASK, ROWS = torch.tensor([True, False]), torch.ones(2)
WAITING = {
    "a number": lambda: ROWS.sum().item(),
    "a list": lambda: ROWS.tolist(),
    "a branch": lambda: 1 if ROWS.sum() > 0 else 0,
    "an array": lambda: ROWS.numpy(),
    "rows of a mask": lambda: ROWS[MASK],
    "places of a mask": lambda: MASK.nonzero(),
    "a comparison": lambda: torch.equal(ROWS, ROWS),
    "a tensor of the host's numbers": lambda: torch.tensor([1.0]),
    "one more": lambda: ROWS.new_tensor([1.0]),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_would_wait_for_a_gpu_is_found_on_a_cpu(name: str) -> None:
    with pytest.raises(Waits), no_waiting("cpu"):
        WAITING[name]()


def test_what_would_not_wait_is_let_through() -> None:
    with no_waiting("cpu"):
        chosen = torch.where(MASK, ROWS, 0.0)
        chosen.masked_fill_(MASK, 3.0)
        assert len(chosen) == 2
    assert chosen.tolist() == [3, 0]
