"""What a user is told holds nothing that a terminal obeys or cannot show."""

from pathlib import Path

import pytest

from rlgen.errors import problem, reason


def test_control_characters_of_a_file_are_spelled_out() -> None:
    told = str(problem("a key", "  \x1b[2J\x00\udcff é in ant.npz", "rename it"))
    assert told == r"expected a key; got \x1b[2J\x00\udcff é in ant.npz; rename it"


def test_lines_are_kept() -> None:
    assert str(problem("a\nb", "c", "d")) == "expected a\nb; got c; d"


def test_a_reason_has_neither_number_nor_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "none.json").read_text()
    assert reason(missing.value) == "no such file or directory"
    assert reason(ValueError("two\n  lines")) == "two lines"
    assert reason(ValueError()) == "ValueError"
