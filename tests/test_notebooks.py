"""The notebooks of the documentation run from top to bottom, shortened."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
QUICK = {
    "imitate_your_own_expert": {
        "EXPERT_STEPS": 4096,
        "IMITATION_STEPS": 4096,
        "CLONING_UPDATES": 100,
        "EVALUATIONS": 1,
        "TEST_EPISODES": 1,
    },
    "explore_a_sparse_task": {"STEPS": 2048},
}
"""Parameters, instead of those that a reader finds."""


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(QUICK)


@pytest.mark.parametrize("name", QUICK)
# The kernel is another process on this machine; what its client leaves open is closed with it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs(name: str, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    for parameter, value in QUICK[name].items():
        parameters.source, changes = re.subn(
            rf"^{parameter} = .*$", f"{parameter} = {value}", parameters.source, flags=re.M
        )
        assert changes == 1, parameter
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
