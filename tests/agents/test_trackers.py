"""Weights & Biases and trackio read the TensorBoard files of a run, as docs/sharing.md says; skipped without them."""

from pathlib import Path

import pytest

from rlgen.agents import cli

SHORT = """train rl --env Pendulum-v1 --steps 128 --n-envs 2 --learner.n-steps 32 --learner.n-epochs 1
--learner.batch-size 64 --evaluate-every 64 --device cpu --no-video --episodes 1 --out run"""


@pytest.mark.filterwarnings("default")
def test_weights_and_biases_reads_a_training_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb")
    from torch.utils.tensorboard import SummaryWriter

    monkeypatch.chdir(tmp_path)
    with wandb.init(project="x", mode="offline", sync_tensorboard=True):
        assert cli.main(SHORT.split()) == 0
        SummaryWriter("run/tensorboard").close()
    summary = capsys.readouterr().err.partition("Run summary:")[2]
    assert "evaluation/return_mean" in summary
    assert "global_step 128" in summary


@pytest.mark.filterwarnings("default")
def test_trackio_imports_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trackio = pytest.importorskip("trackio")
    pytest.importorskip("tbparse")
    from trackio.sqlite_storage import SQLiteStorage

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "kept")
    assert cli.main(SHORT.split()) == 0
    trackio.import_tf_events(log_dir="run", project="x", name="pendulum")
    (name,) = SQLiteStorage.get_runs("x")
    assert "evaluation/return_mean" in {key for row in SQLiteStorage.get_logs("x", name) for key in row}
