"""Identifies files of unsupported formats, for the error that refuses them."""

from pathlib import Path

from rlgen.data.formats.npz import npz_keys

PREFIXES = {
    b"\x93NUMPY": "a single NumPy array (.npy), but demonstrations need several: save them as one .npz",
    b"PAR1": "a Parquet file (LeRobot, Hugging Face): load it with datasets and save_to_disk, or build episodes",
    b"ARROW1": "a bare Arrow file: give the folder of its data set",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"MATLAB 5.0": "a MATLAB file of version 5: load it with scipy.io.loadmat and build episodes",
    b"SQLite format 3": "an SQLite database",
    b"{": "JSON: build episodes from it",
    b"[": "JSON: build episodes from it",
    b"\x80": "a pickle",
}


def true_name(path: Path) -> str | None:
    """Description of a file from its first bytes, with advice; None if unknown."""
    with path.open("rb") as file:
        head = file.read(16)
    found = next((name for prefix, name in PREFIXES.items() if head.startswith(prefix)), None)
    if path.suffix.lower().startswith(".tfrecord") or ".tfrecord" in path.name:
        return "TFRecords (RLDS): load them with tensorflow_datasets and build episodes"
    if found is None and len(head) >= 8 and int.from_bytes(head[:8], "little") < 1 << 24 and head[8:9] == b"{":
        return "safetensors, which hold a network's weights"
    return found


def zip_name(path: Path) -> str | None:
    """Description of a zip archive that is no known .npz; None if unknown."""
    keys = npz_keys(path)
    if "policy.pth" in keys:
        return "a model saved by Stable-Baselines3: play it with rlgen demos record"
    if any(key.endswith("data.pkl") for key in keys):
        return "a file of torch.save"
    return None


def hdf5_name(keys: set[str]) -> str | None:
    """Description of an HDF5 file with these top-level names; None if unknown."""
    if any(key.startswith("traj_") for key in keys):
        return "ManiSkill's trajectories (traj_0 and so on)"
    if "observation" in keys or ("observations" in keys and not keys & {"actions", "terminals"}):
        return "an ALOHA-like recording of one episode"
    if "data" in keys:
        return "robomimic's layout without an episode data/demo_0"
    if keys & {"model_weights", "layer_names"}:
        return "a Keras model"
    return None
