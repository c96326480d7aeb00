"""The states of the global random number generators, as values that a checkpoint can store, and their use for a while
without an effect on them."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

log = logging.getLogger("rlgen")


def rng_state() -> dict[str, Any]:
    """States of Python's `random`, NumPy's legacy global generator, and torch on the CPU and CUDA."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 (libraries still draw from it)
    state = {
        "python": {"version": version, "words": np.array(words, dtype=np.uint32), "gauss": gauss},
        "numpy": {"name": name, "keys": keys, "position": position, "has_gauss": has_gauss, "cached": cached},
        "torch": torch.get_rng_state(),
        "cuda": [],
    }
    # Reading the state initializes CUDA, which a run on the CPU must not do.
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore the states that `rng_state` returned; CUDA states only for the devices that this machine has."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(int(word) for word in python["words"]), python["gauss"]))
    np.random.set_state(  # noqa: NPY002
        (numpy["name"], numpy["keys"], numpy["position"], numpy["has_gauss"], numpy["cached"])
    )
    torch.set_rng_state(state["torch"])
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index, cuda in enumerate(state["cuda"][:devices]):
        torch.cuda.set_rng_state(cuda, index)
    if len(state["cuda"]) > devices:
        log.warning(
            "the run used %d CUDA devices, this machine has %d: the run continues, but not bit for bit",
            len(state["cuda"]),
            devices,
        )


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch's generator is seeded with `seed`; afterwards its earlier state is restored."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
