"""Reads the text files of a folder or of a zip archive, which may be from anywhere."""

import codecs
import logging
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from rlgen.data.columns import reading
from rlgen.errors import problem
from rlgen.system.memory import require_room

log = logging.getLogger("rlgen")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that are read. The others can unpack to any size at once."""
COPIES = 12
"""Bytes of memory per byte of text: characters of up to 4 bytes, with the copies that joining makes."""
MOST_FILES = 100_000
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | dict.fromkeys(
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"
)
"""Encodings by the bytes with which their texts start; the longer ones first."""
SEEN_BYTES = 10_000
"""Bytes of a text in which zeros are counted."""
SHOWN = 3


def name_of(path: str | Path) -> str:
    """The name of a text, for messages and results: that of its file or folder, without .txt or .zip."""
    return Path(path).resolve().name.removesuffix(".txt").removesuffix(".zip")


def read_texts(path: Path, pattern: str) -> dict[str, str]:
    """The text of a file, or of the files of a folder or zip archive whose names fit `pattern`, by name within the
    folder and in the order of the names. See `Corpus.load`."""
    if path.is_dir():
        return _of_folder(path, pattern)
    if not path.is_file():
        raise problem("a text file, a folder of them or a .zip", f"{path}, where nothing is", "check the path")
    if path.suffix.lower() == ".zip":
        return _of_archive(path, pattern)
    require_room(COPIES * path.stat().st_size, f"the text {path}")
    with reading("text", path):
        content = path.read_bytes()
    return {path.name: _decoded(content, str(path))}


def _of_folder(folder: Path, pattern: str) -> dict[str, str]:
    root = folder.resolve()
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in found}
    wanted = {name: names[name] for name in _wanted(names, pattern, str(folder))}
    for path in wanted.values():
        if not path.resolve().is_relative_to(root):
            raise problem(f"texts within {folder}", f"a link at {path} that leads out of it", "put a copy there")
    require_room(COPIES * sum(path.stat().st_size for path in wanted.values()), f"the texts in {folder}")
    contents = {}
    for name, path in wanted.items():
        with reading("text", path):
            contents[name] = path.read_bytes()
    return {name: _decoded(content, str(wanted[name])) for name, content in contents.items()}


def _of_archive(path: Path, pattern: str) -> dict[str, str]:
    with reading(".zip archive", path), zipfile.ZipFile(path) as archive:
        members = {each.filename: each for each in archive.infolist() if not each.is_dir()}
        wanted = [members[name] for name in _wanted(members, pattern, str(path))]
        for each in wanted:
            _require_plain(each, path)
        require_room(sum(each.file_size for each in wanted), f"the texts in {path}", path.stat().st_size)
        require_room(COPIES * sum(each.file_size for each in wanted), f"the texts in {path}")
        contents = {}
        for each in wanted:
            with reading("text", path, each.filename), archive.open(each) as file:
                contents[each.filename] = file.read(each.file_size + 1)
    return {name: _decoded(content, f"{name} in {path}") for name, content in contents.items()}


def _require_plain(member: zipfile.ZipInfo, path: Path) -> None:
    """Raise `InputError` for a member that an archive of texts does not have."""
    name, place = PurePosixPath(member.filename), f"{member.filename!r} in {path}"
    if name.is_absolute() or ".." in name.parts:
        raise problem("names that stay within the archive", place, "pack the texts again")
    if member.flag_bits & 1:
        raise problem("texts without a password", f"the encrypted {place}", "pack them without one")
    if member.compress_type not in PACKED:
        raise problem("texts that are stored or deflated", f"another compression of {place}", "pack them again")


def _wanted(names: Iterable[str], pattern: str, where: str) -> list[str]:
    """The names that fit `pattern`, in order, without hidden files and what macOS adds; the log says what is left
    out."""
    plain = {name: PurePosixPath(name) for name in names}
    plain = {name: path for name, path in plain.items() if not any(map(_is_hidden, path.parts))}
    found = sorted(name for name, path in plain.items() if fnmatch(path.name, pattern))
    others = sorted({path.name for path in plain.values() if not fnmatch(path.name, pattern)})
    if not found:
        seen = f"only {', '.join(others[:SHOWN])}" if others else "no files"
        raise problem(f"files {pattern} in {where}", seen, "name them by --pattern, e.g. --pattern '*.md'")
    if len(found) > MOST_FILES:
        raise problem(f"at most {MOST_FILES:,} files in {where}", f"{len(found):,}", "join them")
    if others:
        more = ", …" if len(others) > SHOWN else ""
        log.warning("%s: only files %s are read, without %s%s", where, pattern, ", ".join(others[:SHOWN]), more)
    return found


def _is_hidden(part: str) -> bool:
    return part.startswith("__MACOSX") or (part.startswith(".") and part != "..")


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"the byte {content[error.start]:#04x} at {error.start:,} of {name}"
        remedy = f"convert it, e.g. by iconv -f {_encoding(content) or 'latin1'} -t utf8"
        raise problem("text in UTF-8", got, remedy) from error
    if (encoding := _encoding(content)) is not None:  # English text in UTF-16 without a mark is valid UTF-8
        remedy = f"convert it, e.g. by iconv -f {encoding} -t utf8"
        raise problem("text in UTF-8", f"{encoding.upper()} in {name}", remedy)
    if not text.strip():
        raise problem("a text", f"nothing but spaces in {name}" if text else f"an empty file {name}", "leave it out")
    return text


def _encoding(content: bytes) -> str | None:
    """The name of a Unicode encoding other than UTF-8 that a text starts with the mark of, or whose zero bytes it has;
    None for others."""
    for mark, name in MARKS.items():
        if content.startswith(mark):
            return name
    some = content[:SEEN_BYTES]
    even, odd = some[::2].count(0), some[1::2].count(0)
    if max(even, odd) <= len(some) // 8 or min(even, odd) > max(even, odd) // 4:  # zeros are in every second byte
        return None
    return "utf-16be" if even > odd else "utf-16le"
