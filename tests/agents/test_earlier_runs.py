"""Run folders of the first version, 0.1.0 at commit 22e12d6, go on, are evaluated and reported."""

import json
import zipfile
from pathlib import Path

import pytest
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.runs import read_metrics

RUNS = Path(__file__).with_name("earlier_runs.zip")
TO = {"gail": 192, "infogail": 192, "ppo": 192, "vime": 192, "sac": 140, "vae": 6}
"""Steps or updates to which each is trained on; cloning counts none."""


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with zipfile.ZipFile(RUNS) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["bc", *TO])
def test_an_earlier_run_is_evaluated_to_the_same_numbers(name: str, earlier: Path) -> None:
    out = earlier / "again.json"
    assert cli.main(["evaluate", str(earlier / name), "--out", str(out)]) == 0
    written, again = (json.loads(path.read_text()) for path in (earlier / name / "result.json", out))
    then = written.get("metrics", written)
    for metric in ("nll", "elbo") if name == "vae" else ("return_mean", "episode_length_mean", "terminated"):
        # It was measured on the first images, where a random choice of them is now.
        within = 3 * then[f"{metric}_standard_error"] if name == "vae" else 1e-4 * abs(then[metric])
        assert again[metric] == pytest.approx(then[metric], abs=within), metric


def test_an_earlier_policy_opens_in_stable_baselines3(earlier: Path) -> None:
    """It names its features extractor by module."""
    for name in ("bc", "gail"):
        assert PPO.load(earlier / name / "policy.zip", device="cpu").policy.features_extractor.normaliser.count > 0


@pytest.mark.parametrize("name", TO)
def test_an_earlier_run_is_trained_on(name: str, earlier: Path) -> None:
    folder = earlier / name
    before = {column: values.tolist() for column, values in read_metrics(folder).items()}
    assert cli.main(["resume", str(folder), "--steps", str(TO[name])]) == 0
    after = read_metrics(folder)
    assert after["step"][-1] == TO[name]
    assert after["step"][: len(before["step"])].tolist() == before["step"]
    result = json.loads((folder / "result.json").read_text())
    assert result.get("env_steps", result.get("steps")) == TO[name]


def test_earlier_runs_are_reported_together(earlier: Path) -> None:
    assert cli.main(["report", *(str(earlier / name) for name in TO if name != "vae"), "--out", "all.html"]) == 0
    page = (earlier / "all.html").read_text(encoding="utf-8")
    assert "InfoGAIL" in page
    assert "SAC + VIME" in page
