"""Rows of runs in one CSV file, from several days."""

from pathlib import Path

from rlgen.runs.batch import merge_rows, read_rows

FIELDS, KEY = ("case", "seed", "score", "device"), ("case", "seed")


def row(case: str, seed: int, score: float | None, device: str = "cpu") -> dict:
    return {"case": case, "seed": seed, "score": score, "device": device, "not a column": 1}


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [row("a", 0, 1.5), row("b", 1, None, 'one, "two"'), row("c", 2, 1e-30)]
    merge_rows(tmp_path / "rows.csv", rows, FIELDS, KEY)
    assert read_rows(tmp_path / "rows.csv") == [{name: each[name] for name in FIELDS} for each in rows]


def test_newer_rows_replace_those_of_the_same_run_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    merge_rows(path, [row("a", 0, 1.0), row("a", 1, 2.0)], FIELDS, KEY)
    merged = merge_rows(path, [row("a", 1, 3.0), row("b", 0, 4.0)], FIELDS, KEY)
    assert [(each["case"], each["seed"], each["score"]) for each in merged] == [("a", 0, 1), ("a", 1, 3), ("b", 0, 4)]
    assert [each["score"] for each in read_rows(path)] == [1, 3, 4]


def test_where_there_is_no_file_there_are_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none.csv") == []


def test_words_that_json_knows_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    merge_rows(path, [row("true", 0, 1.0), row("null", 0, 2.0)], FIELDS, KEY)
    assert [each["case"] for each in read_rows(path)] == ["true", "null"]
