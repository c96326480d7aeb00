"""Functions that a GPU does in one launch, and what may not stand in the way of it."""

import logging

import pytest
import torch
from torch import Tensor, nn

from rlgen.nn.cuda_graph import CudaGraphStep, make_capturable, set_rate

from ..no_waiting import DEVICES, Waits, no_waiting


def descent(device: str) -> tuple[nn.Linear, torch.optim.Adam, CudaGraphStep]:
    """A network, and a step towards targets."""
    torch.manual_seed(0)
    network = nn.Linear(3, 2).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)

    def step(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        noise = 0.1 * torch.randn_like(x)
        loss = (network(x + noise) - y).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    return network, optimizer, CudaGraphStep(step, optimizer)


def weights_after(device: str, steps: int, *, recorded: bool, loads: bool = False) -> Tensor:
    network, optimizer, taken = descent(device)
    for number in range(steps):
        if loads and number == 8:  # what another training has saved on a CPU
            other, its, steps_of_it = descent("cpu")
            for _ in range(3):
                steps_of_it(torch.ones(4, 3), torch.ones(4, 2))
            network.load_state_dict(other.state_dict())
            optimizer.load_state_dict(its.state_dict())
        make_capturable(optimizer, device)
        set_rate(optimizer, 0.1 / (number + 1))
        n = 2 if number == 6 else 4
        x = torch.linspace(-1, 1, 3 * n, device=device).view(n, 3) * (number + 1)
        (taken if recorded else taken.step)(x, x[:, :2].contiguous())
    if recorded and device == "cuda":
        assert taken._graph is not None
    return torch.cat([each.detach().flatten() for each in network.parameters()])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loads", [False, True])
def test_a_recorded_step_learns_what_the_step_does(device: str, loads: bool) -> None:
    """With noise, a falling rate, a smaller batch between, and a state that is loaded after the recording."""
    one, other = (weights_after(device, 16, recorded=recorded, loads=loads) for recorded in (True, False))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
def test_a_step_that_waits_goes_on_unrecorded_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    _, optimizer, taken = descent("cuda")

    def waits(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {name: value * (2 if x.sum().item() > 0 else 0) for name, value in taken.step(x, y).items()}

    recorded, stream = CudaGraphStep(waits, optimizer), torch.cuda.current_stream()
    x, y = torch.ones(4, 3, device="cuda"), torch.ones(4, 2, device="cuda")
    with caplog.at_level(logging.WARNING, "rlgen"):
        losses = [recorded(x, y)["loss"].item() for _ in range(8)]
    assert losses[-1] < losses[0]
    assert caplog.text.count("because it synchronizes with the GPU") == 1
    assert torch.cuda.current_stream() == stream
    assert torch.randn(2, device="cuda").isfinite().all()


def test_a_rate_is_filled_in_where_it_is_a_tensor() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([weight], 0.5, fused=True)
    set_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == 0.25
    make_capturable(optimizer, "cpu")
    rate = optimizer.param_groups[0]["lr"]
    assert isinstance(rate, Tensor)
    for new in (0.125, torch.tensor(0.0625)):
        set_rate(optimizer, new)
        assert optimizer.param_groups[0]["lr"] is rate
        assert rate.item() == float(new)
    optimizer.load_state_dict(torch.optim.Adam([weight], 0.75, fused=True).state_dict())
    make_capturable(optimizer, "cpu")
    weight.grad = torch.ones(2)
    optimizer.step()
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
    "a tensor of one of them": lambda: torch.as_tensor(1.0, dtype=ROWS.dtype),
    "rows of a list": lambda: ROWS[[0, 1]],
    "columns of a list": lambda: ROWS[..., [0]],
    "a copy for the host": lambda: ROWS.to("cpu"),
    "nearness": lambda: torch.allclose(ROWS, ROWS),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_would_wait_for_a_gpu_is_found_on_a_cpu(name: str) -> None:
    with pytest.raises(Waits), no_waiting("cpu"):
        WAITING[name]()


def test_what_would_not_wait_is_let_through() -> None:
    with no_waiting("cpu"):
        chosen = torch.where(MASK, ROWS, 0.0)
        chosen.masked_fill_(MASK, 3.0)
        assert torch.as_tensor(chosen) is chosen
        assert len(chosen) == 2
    assert chosen.tolist() == [3, 0]
