"""`rlgen publish`: a folder that is complete without the machine that made it."""

import base64
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.agents.commands.published import without_paths
from rlgen.data import Demonstrations
from rlgen.runs import load_image_model
from rlgen.sb3 import load_policy

RUNS = Path(__file__).with_name("earlier_runs.zip")
NAME = "jane-roe"
"""A user's name, in every path of the run."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished runs of earlier versions, in a user's home."""
    home = tmp_path_factory.mktemp("home") / NAME
    with zipfile.ZipFile(RUNS) as archive:
        archive.extractall(home)
    for path in home.glob("*/config.json"):
        config = json.loads(path.read_text())
        config |= {"out": str(path.parent)} | ({"demos": str(home / "data" / "mine.npz")} if "demos" in config else {})
        path.write_text(json.dumps(config))
    (home / "gail" / "video.mp4").write_bytes(b"a film")
    return home


def publish(run: Path, to: object, *options: str) -> int:
    return cli.main(["publish", str(run), "--to", str(to), *options])


def run_code(card: str, monkeypatch: pytest.MonkeyPatch, where: Path) -> dict[str, Any]:
    """The names that the card's Python block defines."""
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(where)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def parts_of(folder: Path) -> bytes:
    """All bytes of all files, unpacked: members of archives, and pickles within their JSON."""
    whole = []
    for path in folder.rglob("*"):
        data = path.read_bytes()
        whole += [path.name.encode(), data]
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                whole += [archive.read(name) for name in archive.namelist()]
    text = b"".join(whole)
    return text + b"".join(base64.b64decode(each) for each in re.findall(rb'":serialized:": "([^"]+)"', text))


def test_a_published_policy_is_loaded_and_evaluated_again(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ant-gail"
    assert publish(runs / "gail", folder) == 0
    card = (folder / "README.md").read_text()
    policy = run_code(card, monkeypatch, folder)["policy"]
    theirs = PPO.load(runs / "gail" / "policy.zip", device="cpu")
    observations = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    acted = [each.predict(observations, deterministic=True)[0] for each in (policy, theirs)]
    assert np.array_equal(*acted)
    (folder / "policy.zip").unlink()
    assert np.array_equal(load_policy(folder).predict(observations, deterministic=True)[0], acted[0])
    assert cli.main(["evaluate", str(folder), "--out", str(tmp_path / "again.json")]) == 0
    written, again = (json.loads(path.read_text()) for path in (folder / "result.json", tmp_path / "again.json"))
    assert again["return_mean"] == pytest.approx(written["return_mean"], rel=1e-6)


def test_the_card_has_result_protocol_fingerprint_and_film(runs: Path, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert publish(runs / "gail", tmp_path / "ant-gail") == 0
    card = (tmp_path / "ant-gail" / "README.md").read_text()
    result = json.loads((runs / "gail" / "result.json").read_text())
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == ("rlgen", "reinforcement-learning")
    assert {"reinforcement-learning", "stable-baselines3", "gail", "InvertedPendulum-v5"} <= set(front["tags"])
    (indexed,) = front["model-index"][0]["results"]
    assert indexed["dataset"]["name"] == "InvertedPendulum-v5"
    assert indexed["metrics"][0]["type"] == "mean_reward"
    assert float(indexed["metrics"][0]["value"].split()[0]) == pytest.approx(result["return_mean"], abs=0.01)
    fingerprint = Demonstrations.load(runs / "gail" / "demonstrations.npz").fingerprint
    words = " ".join(card.split())
    for text in (
        "with its 95 % bootstrap interval over these episodes",
        "The final policy of the training, not its best checkpoint",
        f"{result['episodes']} complete episodes of mean actions, environments seeded from {result['evaluation_seed']}",
        f"SHA-256 `{fingerprint}`",
        '<video src="video.mp4"',
        "without unpickling anything. The `load` of Stable-Baselines3 itself unpickles it",
        f"stable-baselines3 {result['versions']['stable-baselines3']}",
    ):
        assert text in words
    assert (tmp_path / "ant-gail" / "video.mp4").read_bytes() == b"a film"


def test_the_hub_s_own_reader_reads_the_card(runs: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    for name in ("gail", "vae"):
        assert publish(runs / name, tmp_path / name) == 0
        card = hub.ModelCard.load(tmp_path / name / "README.md")
        assert card.data.model_name == name
        assert card.data.eval_results[0].metric_type == {"gail": "mean_reward", "vae": "nll"}[name]


@pytest.mark.parametrize("name", ["bc", "infogail", "ppo", "sac", "vime", "vae"])
def test_every_kind_of_run_is_published_without_its_user_s_paths(name: str, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "for_all"
    assert publish(runs / name, folder) == 0
    found = parts_of(folder)
    for path in (NAME, str(runs), str(tmp_path), str(Path.home()) + "/", str(Path(cli.__file__).parents[1])):
        assert path.encode() not in found, path
    assert {"README.md", "config.json", "model.safetensors", "model.json", "result.json"} <= {
        each.name for each in folder.iterdir()
    }
    assert (folder / "policy.zip").is_file() == (name != "vae")


def test_of_a_path_the_last_part_is_kept() -> None:
    config = {
        "out": "runs/ant",
        "demos": "/data/jane/ant.npz",
        "expert": None,
        "env": "rlgen/SparseAnt-v0",
        "env_kwargs": {"xml_file": "C:\\Users\\jane\\ant.xml", "names": ["~/x/y", "a/b"]},
    }
    assert without_paths(config) == {
        "out": "ant",
        "demos": "ant.npz",
        "expert": None,
        "env": "rlgen/SparseAnt-v0",
        "env_kwargs": {"xml_file": "ant.xml", "names": ["y", "a/b"]},
    }
    assert without_paths({"demos": "minari:mujoco/ant/expert-v0"}) == {"demos": "minari:mujoco/ant/expert-v0"}


def test_a_published_image_model_is_loaded_and_evaluated_again(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "digits"
    assert publish(runs / "vae", folder) == 0
    model = run_code((folder / "README.md").read_text(), monkeypatch, folder)["model"]
    for name, tensor in load_image_model(runs / "vae").state_dict().items():
        assert tensor.equal(model.state_dict()[name])
    out = tmp_path / "again.json"
    assert cli.main(["evaluate", str(folder), "--out", str(out)]) == 0
    then = json.loads((runs / "vae" / "result.json").read_text())
    numbers = then.get("metrics", then)  # of the first images, where a random choice of them is measured now
    within = 3 * numbers["nll_standard_error"]
    assert json.loads(out.read_text())["nll"] == pytest.approx(numbers["nll"], abs=within)


def test_what_is_unfinished_or_in_the_way_is_refused_and_left_alone(runs: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    assert publish(runs / "bc", tmp_path / "full") == cli.INPUT_ERROR
    assert "which holds something else" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    shutil.copytree(runs / "bc", tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert publish(tmp_path / "run", tmp_path / "new") == cli.INPUT_ERROR
    assert f"finish it: rlgen resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert publish(runs / "bc", tmp_path / "new", "--private") == cli.INPUT_ERROR
    assert "--private with --to hub" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "run"]


def test_a_folder_that_fails_half_way_leaves_nothing(runs: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(runs / "gail", tmp_path / "run")
    (tmp_path / "run" / "demonstrations.npz").write_bytes(b"damaged")
    assert publish(tmp_path / "run", tmp_path / "new") == cli.INPUT_ERROR
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


class Client:
    """A stand-in of `huggingface_hub.HfApi`, with one model that exists."""

    def __init__(self, token: str) -> None:
        self.uploads: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    def whoami(self) -> dict[str, str]:
        return {"name": "jane"}

    def repo_exists(self, name: str) -> bool:
        return name == "jane/taken"

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        self.private[name] = private

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str, delete_patterns: str) -> None:
        if repo_id == "others/model":
            raise PermissionError("403 Forbidden")
        self.uploads[repo_id] = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Client:
    library = pytest.importorskip("huggingface_hub")
    client = Client("secret")
    monkeypatch.setattr(library, "HfApi", lambda token: client)
    monkeypatch.setattr(library, "get_token", lambda: "secret")
    return client


def test_the_hub_gets_the_same_files(runs: Path, tmp_path: Path, hub: Client, monkeypatch, capsys) -> None:
    assert publish(runs / "gail", tmp_path / "gail") == 0
    assert publish(runs / "gail", "hub") == 0
    assert publish(runs / "gail", "hub:team/ant", "--private") == 0
    assert "https://huggingface.co/team/ant" in capsys.readouterr().out
    assert hub.private == {"jane/gail": False, "team/ant": True}
    files = {path.name: path.read_bytes() for path in (tmp_path / "gail").iterdir()}
    card = hub.uploads["team/ant"]["README.md"].decode()
    for name in hub.uploads:
        assert hub.uploads[name] | {"README.md": b""} == files | {"README.md": b""}
    asked = []
    library = SimpleNamespace(snapshot_download=lambda name: asked.append(name) or tmp_path / "gail")
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", library)
    assert run_code(card, monkeypatch, tmp_path)["policy"].action_space.shape == (1,)
    assert asked == ["team/ant"]


def test_the_hub_s_errors_are_told(runs: Path, hub: Client, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import huggingface_hub

    for to, options, said in (
        ("hub:taken", (), "jane/taken, which exists; choose another name, or add --overwrite"),
        ("hub:a/b/c", (), "expected --to hub, hub:NAME or hub:OWNER/NAME; got hub:a/b/c"),
        ("hub:others/model", (), "got PermissionError: 403 Forbidden"),
    ):
        assert publish(runs / "bc", to, *options) == cli.INPUT_ERROR
        assert said in capsys.readouterr().err
    assert publish(runs / "bc", "hub:taken", "--overwrite") == 0
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert publish(runs / "bc", "hub") == cli.INPUT_ERROR
    assert "log in (hf auth login)" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert publish(runs / "bc", "hub") == cli.INPUT_ERROR
    assert "pip install 'rlgen[hub]'" in capsys.readouterr().err
