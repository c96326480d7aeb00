from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.data import Demonstrations, Episode

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained policy for Pendulum."""
    folder = tmp_path_factory.mktemp("run")
    PPO("MlpPolicy", "Pendulum-v1", seed=0, device="cpu").save(folder / "policy.zip")
    return folder


@pytest.fixture
def pendulum() -> Demonstrations:
    """Three short episodes that look like Pendulum's; the last one falls."""
    rng = np.random.default_rng(0)
    episodes = [
        Episode(
            observations=rng.normal(size=(n + 1, 3)),
            actions=np.clip(3 * rng.normal(size=(n, 1)), -2, 2),
            rewards=-np.ones(n),
            terminated=n == 12,
        )
        for n in (20, 20, 12)
    ]
    return Demonstrations.from_episodes(episodes, env_id="Pendulum-v1")


def rlgen(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_record_writes_what_the_policy_does(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "demos.npz"
    assert (
        rlgen(
            "demos",
            "record",
            "--policy",
            run_folder / "policy.zip",
            "--env",
            "Pendulum-v1",
            "--episodes",
            3,
            "--out",
            out,
        )
        == 0
    )
    recorded = Demonstrations.load(out)
    assert (recorded.env_id, recorded.n_episodes, recorded.stride) == ("Pendulum-v1", 3, 1)
    assert recorded.episode_lengths.tolist() == [200] * 3
    assert recorded.truncated.sum() == 3
    assert recorded.metadata["policy"] == "policy.zip"
    model = PPO.load(run_folder / "policy.zip", device="cpu")
    expected, _ = model.predict(recorded.observations, deterministic=True)
    assert np.allclose(recorded.actions, expected, atol=1e-5)


def test_record_subsamples_takes_a_run_folder_and_repeats_with_the_seed(run_folder: Path, tmp_path: Path) -> None:
    command = [
        "demos",
        "record",
        "--policy",
        run_folder,
        "--env",
        "Pendulum-v1",
        "--episodes",
        3,
        "--every",
        20,
        "--seed",
    ]
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        assert rlgen(*command, seed, "--out", tmp_path / f"{name}.npz") == 0
    a, b, c = (Demonstrations.load(tmp_path / f"{name}.npz") for name in "abc")
    assert (a.stride, np.bincount(a.episode).tolist()) == (20, [10] * 3)
    assert np.array_equal(a.observations, b.observations)
    assert not np.array_equal(a.observations, c.observations)


def test_nothing_that_exists_is_replaced_unless_asked(
    run_folder: Path, pendulum: Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source.npz", tmp_path / "out.npz"
    pendulum.save(source)
    out.write_text("precious")
    recording = ("demos", "record", "--policy", run_folder, "--env", "Pendulum-v1", "--episodes", 1, "--out", out)
    for command in (recording, ("demos", "convert", source, out), ("demos", "inspect", source, "--plot", out)):
        assert rlgen(*command) == cli.INPUT_ERROR
        assert "add --overwrite" in capsys.readouterr().err
        assert out.read_text() == "precious"
    assert rlgen("demos", "convert", source, out, "--overwrite") == 0
    assert Demonstrations.load(out).n_episodes == 3


def test_record_without_a_policy_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlgen("demos", "record", "--policy", tmp_path, "--env", "Pendulum-v1", "--out", tmp_path / "out.npz") == 2
    assert "no file" in capsys.readouterr().err


def test_a_stride_of_nothing_is_refused_before_anything_is_played(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npz"
    assert rlgen("demos", "record", "--policy", run_folder, "--env", "Nowhere-v0", "--every", 0, "--out", out) == 2
    assert "--every of at least 1; got 0" in capsys.readouterr().err


def test_convert_cuts_subsamples_and_names_the_environment(pendulum: Demonstrations, tmp_path: Path) -> None:
    source, out = tmp_path / "theirs.npz", tmp_path / "ours.npz"
    observations = [np.append(pendulum.observations[pendulum.episode == e], np.zeros((1, 3)), 0) for e in range(3)]
    np.savez(
        source,
        obs=np.concatenate(observations),
        acts=pendulum.actions,
        indices=np.array([20, 40]),
        terminal=np.ones(3, bool),
    )
    options = ("--first", 2, "--every", 5, "--time-limit", 20, "--env-id", "Pendulum-v1")
    assert rlgen("demos", "convert", source, out, *options) == 0
    found = Demonstrations.load(out, format="rlgen")
    assert (found.env_id, found.n_episodes, found.stride, len(found)) == ("Pendulum-v1", 2, 5, 8)
    assert not found.terminated.any()


def test_inspect_shows_counts_returns_and_clipping(
    pendulum: Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pendulum.save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz") == 0
    text = capsys.readouterr().out
    share = np.mean(abs(pendulum.actions) == 2)
    assert 0.2 < share < 0.8
    for fact in (
        "Pendulum-v1",
        "52 of 3 episodes, every step",
        "observation dim 3, action dim 1",
        "-17.3 ± 3.771  (-20.0 to -12.0; bars from lowest to highest)",
        "1 terminated, 2 at the time limit",
        f"-2 to 2, {share:.1%} of them at a bound",
    ):
        assert fact in text
    assert max(len(line) for line in text.splitlines()[2:]) <= 80


def test_inspect_makes_no_environment_where_the_file_notes_the_bounds(
    pendulum: Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlgen.envs.make_vec", lambda *_: pytest.fail("an environment was made"))
    noted = {"action_low": [-2.0], "action_high": [2.0], "policy": "[red]x.zip", "versions": {"mujoco": "4.0.1"}}
    replace(pendulum, metadata=noted, env_id="[/]Pendulum-v1").save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz") == 0
    text = capsys.readouterr().out
    assert "of them at a bound" in text
    assert "policy [red]x.zip, mujoco 4.0.1" in text
    assert "[/]Pendulum-v1" in text, "a file's texts are no markup"


def test_inspect_of_a_file_that_names_a_module_imports_nothing(
    pendulum: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_module.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    replace(pendulum, env_id="evil_module:X-v0").save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz") == 0


def test_bars_of_returns_go_from_the_lowest_to_the_highest() -> None:
    from rlgen.agents.commands.demos_table import _over_episodes

    assert _over_episodes(np.array([1000.0, 1001.0, 1007.0])).plain == "▁▂█"
    assert _over_episodes(np.array([5.0, 5.0])).plain == "▅▅"


@pytest.mark.parametrize(("name", "to"), [("toy-v0", "auto"), ("out", "imitation"), ("out.h5", "auto")])
def test_convert_writes_for_other_libraries(pendulum: Demonstrations, tmp_path: Path, name: str, to: str) -> None:
    for package in ("h5py", "minari", "datasets"):
        pytest.importorskip(package)
    pendulum.save(tmp_path / "ours.npz")
    assert rlgen("demos", "convert", tmp_path / "ours.npz", tmp_path / name, "--to", to) == 0
    found = Demonstrations.load(tmp_path / name)
    assert np.array_equal(found.observations, pendulum.observations)
    assert (found.env_id, found.terminated.tolist()) == ("Pendulum-v1", pendulum.terminated.tolist())
    assert rlgen("demos", "convert", tmp_path / "ours.npz", tmp_path / name, "--to", to) == 2, "it exists"
    assert rlgen("demos", "convert", tmp_path / "ours.npz", tmp_path / name, "--to", to, "--overwrite") == 0


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, said in ((("out",), "a name that ends in .npz"), (("out.h5", "--every", 5), "kept --every K steps")):
        assert rlgen("demos", "convert", "absent.npz", tmp_path / options[0], *options[1:]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_inspect_warns_of_what_spoils_training(
    pendulum: Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observations = pendulum.observations.copy()
    observations[4, 0] = np.nan
    replace(pendulum, observations=observations, actions=2 * pendulum.actions).save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz") == 0
    text = capsys.readouterr().out
    assert "1 rows of observations hold NaN or infinity" in text
    assert "rows hold actions outside the action space" in text


def test_inspect_knows_no_bounds_where_the_environment_is_unknown(
    pendulum: Demonstrations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for env_id in (None, "Nowhere-v7", "HalfCheetah-v5"):
        replace(pendulum, env_id=env_id).save(tmp_path / "demos.npz")
        assert rlgen("demos", "inspect", tmp_path / "demos.npz") == 0
        text = capsys.readouterr().out
        assert "at a bound" not in text
        assert (env_id or "not named") in text


def test_inspect_draws_a_picture(pendulum: Demonstrations, tmp_path: Path) -> None:
    pendulum.save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz", "--plot", tmp_path / "picture.png") == 0
    assert (tmp_path / "picture.png").read_bytes()[:4] == PNG


def test_a_picture_of_demonstrations_without_returns_is_drawn_too(pendulum: Demonstrations, tmp_path: Path) -> None:
    replace(pendulum, rewards=None, episode_returns=None).save(tmp_path / "demos.npz")
    assert rlgen("demos", "inspect", tmp_path / "demos.npz", "--plot", tmp_path / "picture.png") == 0
    assert (tmp_path / "picture.png").read_bytes()[:4] == PNG


def test_the_paper_s_ant_demonstrations_look_right(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rlgen("demos", "inspect", shared_data / "demos" / "Ant-v5_every20.npz") == 0
    text = capsys.readouterr().out
    assert "2,500 of 50 episodes, every 20th step" in text
    assert "4,704 ± 93.0  (4,532 to 4,983;" in text
    assert "0 terminated, 3 at the time limit, 47 unknown (no last step)" in text
