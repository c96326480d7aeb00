# ruff: noqa: NPY002 (the legacy global generator is what is tested)
"""Random numbers continue exactly after their state went through a checkpoint."""

import random

import numpy as np
import torch

from rlgen.runs import load_checkpoint, save_checkpoint
from rlgen.system.rng import rng_state, set_rng_state


def draw() -> tuple:
    return (
        random.random(),
        random.gauss(),
        np.random.rand(),
        np.random.randn(),
        torch.rand(3).tolist(),
        torch.randn(1).item(),
    )


def test_all_generators_continue_exactly_after_a_checkpoint(tmp_path):
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    draw()  # leaves a cached Gaussian in Python's and NumPy's generator
    save_checkpoint(tmp_path, 1, {"rng": rng_state()})
    expected = [draw() for _ in range(3)]
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    set_rng_state(load_checkpoint(tmp_path).state["rng"])
    assert [draw() for _ in range(3)] == expected


def test_a_state_taken_on_a_gpu_is_accepted_without_one_and_said(caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    state = rng_state() | {"cuda": [torch.zeros(16, dtype=torch.uint8)]}
    set_rng_state(state)
    assert "not bit for bit" in caplog.text
