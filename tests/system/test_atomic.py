"""A file is the old one or the new one, and an error names it."""

import errno
import os
from pathlib import Path

import pytest

from rlgen.system.files import atomic_write


def test_atomic_write_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    atomic_write(tmp_path / "a.txt", "long old text")
    atomic_write(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    atomic_write(tmp_path / "a.txt", "old")

    def full(handle):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"disk full.*a\.txt"):
        atomic_write(tmp_path / "a.txt", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_place_that_cannot_be_written_is_named_by_the_name_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        atomic_write(tmp_path / "nowhere" / "a.txt", "new")
    assert caught.value.filename == str(tmp_path / "nowhere" / "a.txt")


def test_a_disk_that_became_unwritable_is_the_error_and_not_the_tidying_after_it(tmp_path, monkeypatch):
    def refuse(*arguments, **settings):
        raise OSError(errno.EROFS, "Read-only file system", "elsewhere")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only") as caught:
        atomic_write(tmp_path / "a.txt", "new")
    assert caught.value.filename == str(tmp_path / "a.txt")
