"""Fixtures that several tests share."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real demonstrations, experts and MNIST: $RLGEN_DATA, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("RLGEN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "demos").is_dir():
        pytest.skip("no real demonstrations at hand: set RLGEN_DATA to their folder")
    return folder
