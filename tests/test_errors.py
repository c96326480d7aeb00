"""What a user is told holds nothing that a terminal obeys or cannot show."""

from rlgen.errors import problem


def test_control_characters_of_a_file_are_spelled_out() -> None:
    told = str(problem("a key", "  \x1b[2J\x00\udcff é in ant.npz", "rename it"))
    assert told == r"expected a key; got \x1b[2J\x00\udcff é in ant.npz; rename it"


def test_lines_are_kept() -> None:
    assert str(problem("a\nb", "c", "d")) == "expected a\nb; got c; d"
