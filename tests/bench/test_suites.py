"""One cell of the quick form of every shipped suite, from the command line to the table."""

from pathlib import Path

import pytest

from rlgen.agents import cli

CELLS = {
    "gail-2016": ("bc", "Ant-v5, 1 trajectory"),
    "sparse-exploration": ("ppo-none", "SparseMountainCar"),
    "image-mnist": ("vae", "MNIST"),
    "imitation-one-shot": ("bc", "Ant-v5, every step, 1 trajectory"),
}


@pytest.mark.parametrize("suite", CELLS)
def test_a_quick_cell_is_trained_and_gets_its_line(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, setting = CELLS[suite]
    out = tmp_path / "bench"
    words = ["bench", "run", suite, "--quick", "--agents", agent, "--out", str(out)]
    assert cli.main(words) == 0
    table = (out / "table.md").read_text()
    line = next(line for line in table.splitlines() if line.startswith(f"| {setting} | {agent} |"))
    value = line.split("|")[4].strip().rpartition(" ")[2]
    assert float(value.replace(",", "")) == float(value.replace(",", "")), "a number"
    assert (out / "results.csv").is_file()
    assert "Unfinished" not in table
    capsys.readouterr()
    assert cli.main(words) == 0, "nothing is left to train"
    assert "start" not in capsys.readouterr().err
