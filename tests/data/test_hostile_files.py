"""Files made to exhaust memory, to open other files, or to end the process by a signal."""

import contextlib
import json
import os
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlgen.data import Demonstrations, Episode, Visits, formats
from rlgen.data.idx import read_idx
from rlgen.errors import InputError
from rlgen.system import memory

COLUMNS = ("observations", "actions", "rewards", "terminals", "timeouts")


def npy_header(shape: str, descr: str = "'<f4'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def replaced(path: Path, name: str, content: bytes, packing: int = zipfile.ZIP_DEFLATED) -> None:
    """The zip archive with another member `name`."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, old in members.items():
            archive.writestr(each, content if each == name else old, packing if each == name else None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy_header("(1000000000000, 3)"), "half of the free memory; got 10.9 TiB for the arrays of"),
        (npy_header("(70000000, 3)"), "on disk; got .* for the arrays of"),
        (npy_header("(True, 4)"), "cut or damaged at key 'actions'"),
        (npy_header("(-1, 4)"), "cut or damaged at key 'actions'"),
        (npy_header("(4,"), "cut or damaged at key 'actions'"),
        (npy_header("(4, 2)", "'|O'"), "pickled objects"),
        (b"bytes", "cut or damaged at key 'actions'"),
    ],
)
def test_a_header_in_an_npz_is_not_believed(
    demonstrations: Demonstrations, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bomb.npz"
    demonstrations.save(path)
    replaced(path, "actions.npy", content)
    with pytest.raises(InputError, match=said):
        Demonstrations.load(path)


def test_megabytes_of_zeros_are_not_unpacked(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "UNPACKED", 2**20)
    path = tmp_path / "bomb.npz"
    demonstrations.save(path)
    replaced(path, "actions.npy", npy_header("(400000, 2)") + bytes(3_200_000))
    with pytest.raises(InputError, match=r"on disk; got 3\.1 MiB for the arrays of .*bomb\.npz; check"):
        Demonstrations.load(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_npz_packed_otherwise_than_numpy_packs_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, packing: int
) -> None:
    path = tmp_path / "bomb.npz"
    demonstrations.save(path)
    replaced(path, "actions.npy", npy_header("(15, 2)") + bytes(120), packing)
    with pytest.raises(InputError, match="'actions' packed otherwise"):
        Demonstrations.load(path)


def test_a_gzipped_idx_file_is_not_unpacked_beyond_its_proportion(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 300_000, 28, 28) + bytes(1000)))
    with pytest.raises(InputError, match=r"on disk; got 224\.3 MiB for the bytes of"):
        read_idx(path, 3)


def test_a_file_of_visits_is_not_believed(tmp_path: Path) -> None:
    from rlgen.data.visits import Axis

    path = tmp_path / "visits.npz"
    path.write_bytes(Visits([Axis(name="x", columns=(0,), width=1.0)]).to_bytes())
    replaced(path, "cells.npy", npy_header("(1000000000000, 1)", "'<i8'"))
    with pytest.raises(InputError, match=r"a complete file of visits at .* free memory"):
        Visits.read(path)


def write_hdf5(path: Path, demonstrations: Demonstrations, *without: str) -> Path:
    """D4RL's layout."""
    h5py = pytest.importorskip("h5py")
    demonstrations.save(path)
    with h5py.File(path, "a") as file:
        for key in without:
            del file[key]
    return path


def test_chunks_that_were_never_written_are_not_allocated(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "bomb.hdf5", demonstrations, "observations")
    import h5py

    with h5py.File(path, "a") as file:
        file.create_dataset("observations", (10**8, 3), "f4", chunks=(1000, 3))
    with pytest.raises(InputError, match=r"on disk; got 1\.1 GiB for the arrays of .*bomb\.hdf5"):
        Demonstrations.load(path)


def test_many_arrays_are_counted_together(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_hdf5(tmp_path / "many.hdf5", demonstrations)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(InputError, match="half of the free memory; got"):
        Demonstrations.load(path)


def external(file: object, secret: Path) -> None:
    file.create_dataset("observations", (15, 3), "u1", external=[(str(secret), 0, 45)])  # type: ignore[attr-defined]


def virtual(file: object, secret: Path) -> None:
    import h5py

    layout = h5py.VirtualLayout((15, 3), "u1")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".hdf5")), "x", (15, 3))
    file.create_virtual_dataset("observations", layout)  # type: ignore[attr-defined]


def external_link(file: object, secret: Path) -> None:
    import h5py

    file["observations"] = h5py.ExternalLink(str(secret.with_suffix(".hdf5")), "x")  # type: ignore[index]


def soft_link(file: object, secret: Path) -> None:
    import h5py

    file["there"] = h5py.ExternalLink(str(secret.with_suffix(".hdf5")), "/")  # type: ignore[index]
    file["observations"] = h5py.SoftLink("/there/x")  # type: ignore[index]


@pytest.mark.parametrize("leave", [external, virtual, external_link, soft_link])
def test_hdf5_that_reads_other_files_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, leave: Callable[..., None]
) -> None:
    path = write_hdf5(tmp_path / "spy.hdf5", demonstrations, "observations")
    import h5py

    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(45)))
    with h5py.File(secret.with_suffix(".hdf5"), "w") as file:
        file["x"] = np.arange(45, dtype=np.uint8).reshape(15, 3)
    with h5py.File(path, "a") as file:
        leave(file, secret)
    with pytest.raises(InputError, match=r"data of its own under 'observations'.*spy\.hdf5"):
        Demonstrations.load(path)


@pytest.mark.parametrize("value", ["empty", "text", "objects", "group"])
def test_hdf5_of_other_values_than_numbers_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, value: str
) -> None:
    path = write_hdf5(tmp_path / "odd.hdf5", demonstrations, "rewards")
    import h5py

    with h5py.File(path, "a") as file:
        if value == "group":
            file.create_group("rewards")
        elif value == "objects":
            file.create_dataset("rewards", (15,), h5py.vlen_dtype(np.float32))
        else:
            file["rewards"] = h5py.Empty("f4") if value == "empty" else "text"
    with pytest.raises(InputError, match=r"'rewards'.*odd\.hdf5"):
        Demonstrations.load(path)


def test_names_in_hdf5_that_are_no_text_do_no_harm(demonstrations: Demonstrations, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "odd.hdf5", demonstrations)
    import h5py

    with h5py.File(path, "a") as file:
        file.create_group(b"\xff\xfe")
    assert len(Demonstrations.load(path)) == 15


@pytest.fixture
def folder(episodes: list[Episode], tmp_path: Path) -> Path:
    """A data set of the imitation library."""
    pytest.importorskip("datasets")
    path = tmp_path / "folder"
    Demonstrations.from_episodes(episodes, env_id="Toy-v0").save(path, format="imitation")
    return path


@pytest.mark.parametrize(
    "state",
    [
        *("3", "[]", "null", "{", "{}", '{"_data_files": []}', '{"_data_files": 3}', "[" * 100_000),
        '{"_data_files": [{"filename": 5}]}',
        '{"_data_files": [{"filename": "../other.arrow"}]}',
        '{"_data_files": [{"filename": "absent"}]}',
    ],
)
def test_a_state_of_another_type_is_refused(folder: Path, state: str) -> None:
    (folder / "state.json").write_text(state)
    with pytest.raises(InputError, match=r"^expected .*; got .*folder.*; "):
        Demonstrations.load(folder)


def test_compressed_arrow_is_refused_before_it_is_unpacked(folder: Path) -> None:
    import pyarrow as pa

    file = next(folder.glob("*.arrow"))
    with pa.ipc.open_stream(file.read_bytes()) as stream:
        table = stream.read_all()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="plain record batches; got a compressed one"):
        Demonstrations.load(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_one_changed_byte_of_an_arrow_file_ends_no_process(folder: Path) -> None:
    """Each case is tried in a child, which a signal may end."""
    file = next(folder.glob("*.arrow"))
    content = file.read_bytes()
    Demonstrations.load(folder)
    places = random.Random(0).sample(range(len(content)), 120)
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            for place in places:
                for value in (0x00, 0x80):
                    file.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
                    with contextlib.suppress(InputError):
                        Demonstrations.load(folder)
            outcome = 0
        finally:
            sys.stderr.flush()
            os._exit(outcome)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_name_that_imports_is_only_a_name(demonstrations: Demonstrations, tmp_path: Path) -> None:
    """`module:Id` is how Gymnasium imports; in a file it is text."""
    demonstrations.save(tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as file:
        np.savez(tmp_path / "evil.npz", **{**file, "env_id": np.array("evil_module:X-v0")})
    assert Demonstrations.load(tmp_path / "evil.npz").env_id == "evil_module:X-v0"
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", b"\x93NUMPY\x01\x00", "a single NumPy array"),
        ("a.parquet", b"PAR1xxxx", "a Parquet file"),
        ("a.gz", b"\x1f\x8b\x08\x00", "a gzip archive"),
        ("a.pkl", b"\x80\x04\x95", "a pickle"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        ("a.json", json.dumps({}).encode(), "JSON"),
        ("a.tfrecord-00000-of-00001", b"\x10\0\0\0", "TFRecords"),
    ],
)
def test_a_foreign_file_is_called_by_its_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"which is {said}"):
        formats.detect(tmp_path / name)
