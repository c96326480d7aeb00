"""What the files of a run are made of."""

import base64
import io
import json
import pickletools
import zipfile
from pathlib import Path

import numpy as np
from safetensors import safe_open

from rlgen.agents.cli import main
from rlgen.runs import read_metrics
from rlgen.runs.checkpoint import list_checkpoints


def holds_pickle(content: bytes) -> bool:
    """Whether a file is a pickle, or a zip (as torch.save writes) with one inside, at any depth."""
    if content[:1] == b"\x80":
        return True
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(holds_pickle(archive.read(name)) for name in archive.namelist())


def test_no_file_of_a_run_is_a_pickle_but_sb3s_own_policy(rlgen_train, contents, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "128", "--checkpoint-every", "64") == 0
    files = contents()
    assert any(name.endswith(".safetensors") for name in files)
    assert {Path(name).suffix for name in files} & {".pkl", ".pickle", ".pt", ".pth"} == set()
    assert [name for name, content in files.items() if holds_pickle(content)] == ["policy.zip"]
    for path in (tmp_path / "run").rglob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)


def test_the_saved_policy_needs_rlgen_for_its_features_alone(rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "64") == 0
    with zipfile.ZipFile(tmp_path / "run" / "policy.zip") as archive:
        data = json.loads(archive.read("data"))
    pickles = [base64.b64decode(value[":serialized:"]) for value in data.values() if ":serialized:" in str(value)]
    words = {word for content in pickles for _, word, _ in pickletools.genops(content) if isinstance(word, str)}
    assert {word for word in words if word.startswith("rlgen")} == {"rlgen.sb3.features"}


def test_a_checkpoint_on_disk_holds_what_a_resume_needs(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "128") == 0
    newest = list_checkpoints(tmp_path / "run")[0]
    with safe_open(newest / "tensors.safetensors", "pt") as tensors:
        names = set(tensors.keys())
    for part in ("source/network", "source/optimiser", "source/normaliser", "model/policy", "model/optimiser", "scale"):
        assert any(f"gail/{part}/" in f"{name}/" for name in names), part
    assert any("rng/torch" in name for name in names)
    assert any("rng/numpy" in name for name in names)


def test_a_training_too_short_to_log_anything_has_a_report(tmp_path: Path) -> None:
    words = "rl --env Pendulum-v1 --learner.algorithm sac --steps 16 --n-envs 2 --evaluate-every 0 --episodes 2"
    run = tmp_path / "run"
    assert main(["train", *words.split(), "--threads", "1", "--no-video", "--out", str(run)]) == 0
    assert not read_metrics(run)
    assert (run / "report.html").is_file()
