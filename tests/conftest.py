"""Fixtures that several tests share, and the checking of shapes and types in every tensor function."""

import os
import signal
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)

# A suite started in the background inherits an ignored Ctrl-C, which the tests of Ctrl-C could not press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports them. In production the annotations cost nothing and check nothing.
install_import_hook(
    ["rlgen.equations", "rlgen.nn", "rlgen.rewards", "rlgen.generators.metrics"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m gpu` runs what the tests on a CPU leave out."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real demonstrations, experts and MNIST: $RLGEN_DATA, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("RLGEN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "demos").is_dir():
        pytest.skip("no real demonstrations at hand: set RLGEN_DATA to their folder")
    return folder
