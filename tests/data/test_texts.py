"""Texts from files, folders and archives, and what is refused."""

import zipfile
from pathlib import Path

import pytest

from rlgen.data import Corpus
from rlgen.errors import InputError

TEXT = "".join(f"line {number}\n" for number in range(10, 30))


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_the_first_nine_tenths_of_a_file_are_learned(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text(TEXT)
    found = Corpus.load(tmp_path / "poem.txt")
    assert (found.train, found.validation) == (TEXT[:144], TEXT[144:])
    assert found.name == "poem"


def test_every_file_of_a_folder_is_in_both_splits_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.txt").write_text("c" * 9 + "C")
    (tmp_path / "b.txt").write_text("b" * 9 + "B")
    (tmp_path / "a.txt").write_text("a" * 8 + "\nA")
    (tmp_path / ".hidden.txt").write_text("hidden")
    found = Corpus.load(tmp_path)
    assert found.train == "a" * 8 + "\n" + "b" * 9 + "\n" + "c" * 9
    assert found.validation == "A\nB\nC"


def test_an_archive_has_the_texts_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("one.txt", "two.txt"):
        (folder / name).write_text(name * 20)
    members = {name: (folder / name).read_bytes() for name in ("two.txt", "one.txt")}
    packed = archive(tmp_path / "texts.zip", {**members, "__MACOSX/one.txt": b"x"})
    assert Corpus.load(packed) == Corpus.load(folder)


def test_a_pattern_names_other_files_and_the_log_says_what_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packed = archive(tmp_path / "reviews.zip", {"README.txt": b"read me first", "good.pos": b"good film" * 9})
    assert Corpus.load(packed, "*.pos").train.startswith("good")
    assert "only files *.pos are read, without README.txt" in caplog.text


def test_letters_of_any_script_are_read_and_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\N{BOM}".encode() + "größer 日本語 😀 und so weiter".encode())
    assert Corpus.load(tmp_path / "a.txt").train.startswith("größer 日本語")


def test_the_fingerprint_is_that_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    first = Corpus.load(tmp_path / "a.txt").fingerprints()
    assert first["train"]["n"] == 144
    (tmp_path / "a.txt").write_text(TEXT.replace("29", "30"))
    second = Corpus.load(tmp_path / "a.txt").fingerprints()
    assert first["train"] == second["train"]
    assert first["validation"]["sha256"] != second["validation"]["sha256"]


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"a.txt": "größer".encode("latin-1") * 9}, "text in UTF-8; got the byte 0xf6 at 2 of a.txt"),
        ({"a.txt": b""}, "an empty file a.txt"),
        ({"a.txt": b" \n \n"}, "nothing but spaces in a.txt"),
        ({"a.txt": b"x"}, "an empty train text"),
        ({"a.md": b"text"}, r"files \*.txt in .*; got only a.md"),
        ({}, "got no files"),
        ({"../a.txt": b"text" * 9}, "names that stay within the archive"),
        ({"/a.txt": b"text" * 9}, "names that stay within the archive"),
    ],
)
def test_an_archive_that_cannot_be_learned_is_refused(tmp_path: Path, members: dict[str, bytes], refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        Corpus.load(archive(tmp_path / "a.zip", members))


def test_a_small_archive_of_much_text_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"130\.0 MiB for the texts in"):
        Corpus.load(archive(tmp_path / "a.zip", {"a.txt": bytes(130 * 2**20)}))


def test_another_compression_and_a_damaged_archive_are_refused(tmp_path: Path) -> None:
    packed = archive(tmp_path / "a.zip", {"a.txt": b"text" * 99}, zipfile.ZIP_BZIP2)
    with pytest.raises(InputError, match="stored or deflated"):
        Corpus.load(packed)
    packed = archive(tmp_path / "b.zip", {"a.txt": TEXT.encode()})
    packed.write_bytes(packed.read_bytes()[:50])
    with pytest.raises(InputError, match="cut or damaged"):
        Corpus.load(packed)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(TEXT)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="that leads out of it"):
        Corpus.load(tmp_path / "texts")


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="where nothing is"):
        Corpus.load(tmp_path / "a.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", ["Plain words.\n", "Grüße über Flüsse.\n"])
def test_a_text_in_another_unicode_encoding_is_named_as_such(encoding: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes((50 * text).encode(encoding))
    short = encoding.replace("-le", "le").replace("-be", "be")
    with pytest.raises(InputError, match=f"iconv -f {short} -t utf8"):
        Corpus.load(tmp_path / "text.txt")


def test_a_text_in_latin1_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes((50 * "Grüße\n").encode("latin1"))
    with pytest.raises(InputError, match="iconv -f latin1 -t utf8"):
        Corpus.load(tmp_path / "text.txt")
