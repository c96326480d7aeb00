"""`rlgen evaluate --attack`: the numbers of an attacked policy, and what the file says about the attack."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.envs import make_vec
from rlgen.sb3 import normalized_policy
from rlgen.sb3.features import fit_normalizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PPO that holds the pole: its action opposes angle and angular velocity."""
    env = make_vec("InvertedPendulum-v5", 1, backend="gymnasium")
    kwargs = {**normalized_policy([]), "optimizer_kwargs": {}}
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu", policy_kwargs=kwargs)
    fit_normalizer(model.policy, torch.randn(1_000, 4, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        model.policy.action_net.weight.copy_(torch.tensor([[0.5, 10.0, 0.7, 1.5]]))
        model.policy.action_net.bias.zero_()
    path = tmp_path_factory.mktemp("model") / "policy.zip"
    model.save(path)
    return path


def evaluated(model: Path, out: Path, *options: str) -> dict[str, Any]:
    settings = ["--env", "InvertedPendulum-v5", "--episodes", "4", "--n-envs", "4", "--backend", "gymnasium"]
    assert cli.main(["evaluate", str(model), *settings, *options, "--out", str(out)]) == 0
    return json.loads(out.read_text())


def test_an_attack_lowers_the_return_and_is_recorded(model: Path, tmp_path: Path) -> None:
    plain = evaluated(model, tmp_path / "plain.json")
    attacked = evaluated(model, tmp_path / "attacked.json", "--attack", "pgd", "--epsilon", "0.5")
    assert plain["return_mean"] == 1_000
    assert attacked["return_mean"] < 100
    assert "attack" not in plain
    recorded = {name: attacked[name] for name in ("attack", "epsilon", "attack_unit", "attack_steps")}
    expected = {"attack": "pgd", "epsilon": 0.5, "attack_unit": "policy's normalizer", "attack_steps": 10}
    assert recorded == expected


def test_an_attack_repeats_by_its_seed(model: Path, tmp_path: Path) -> None:
    one, two = (evaluated(model, tmp_path / f"{n}.json", "--attack", "fgsm", "--epsilon", "0.5") for n in range(2))
    assert one["per_episode"] == two["per_episode"]


def test_without_a_normalizer_the_unit_is_what_a_random_policy_visits(tmp_path: Path) -> None:
    env = make_vec("InvertedPendulum-v5", 1, backend="gymnasium")
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu").save(tmp_path / "policy.zip")
    found = evaluated(tmp_path / "policy.zip", tmp_path / "found.json", "--attack", "fgsm")
    assert (found["attack_unit"], found["epsilon"]) == ("random policy", 0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--epsilon", "0.1"], "add --attack fgsm or pgd"),
        (["--attack", "pgd", "--epsilon", "-1"], "epsilon of at least 0"),
    ],
)
def test_impossible_attacks_are_refused(
    options: list[str], said: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(model), "--env", "InvertedPendulum-v5", *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
