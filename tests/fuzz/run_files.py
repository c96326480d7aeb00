"""Small runs of every kind, trained once."""

import json
import shutil
from pathlib import Path

from rlgen.agents import cli

from .demonstration_files import ENV, demonstrations
from .images import write_idx
from .zip_damage import members_of, zipped

LEARNER = "--learner.n-steps 4 --learner.batch-size 8 --learner.n-epochs 1 --learner.hidden 4"
IN_ENV = f"--env {ENV} --episodes 2 --n-envs 2 --steps 24 --checkpoint-every 0 --no-video"
AGENTS = {
    "gail": f"{IN_ENV} --demos DEMOS {LEARNER} --gail.bc.max-updates 2 --gail.bc.check-every 1 "
    "--gail.discriminator.hidden 4 --gail.discriminator.batch-size 4",
    "infogail": f"{IN_ENV} --demos DEMOS {LEARNER} --gail.discriminator.hidden 4 --gail.discriminator.batch-size 4 "
    "--gail.posterior.hidden 4 --gail.posterior.batch-size 4",
    "bc": f"--env {ENV} --episodes 2 --no-video --demos DEMOS --bc.max-updates 2 --bc.check-every 1 --hidden 4",
    "rl": f"{IN_ENV} {LEARNER}",
    "vime": f"{IN_ENV} {LEARNER} --vime.hidden 4 --vime.updates-per-rollout 1 --vime.batch-size 4",
    "sac": f"{IN_ENV} --learner.algorithm sac --learner.hidden 4 --learner.batch-size 4 --learner.learning-starts 4 "
    "--vime.hidden 4 --vime.updates-per-rollout 1 --vime.batch-size 4",
    "vae": "--data IMAGES --batch-size 4 --steps 6 --checkpoint-every 2 --log-every 1 --evaluate-every 0 --measured 4 "
    "--importance-samples 1 --classifier none --vae.latent 1 --vae.hidden 4",
    "gan": "--data IMAGES --batch-size 4 --steps 6 --checkpoint-every 2 --log-every 1 --evaluate-every 0 --measured 4 "
    "--classifier none --gan.latent 1 --gan.generator-hidden 4 --gan.discriminator-hidden 4",
    "text": "--data TEXT --batch-size 2 --steps 6 --checkpoint-every 2 --log-every 1 --evaluate-every 3 --samples 1 "
    "--sample-length 4 --lm.context 4 --lm.width 4 --lm.depth 1 --lm.heads 1",
}
COMMAND = {"sac": "train vime", "vae": "train image --model vae", "gan": "train image --model gan"}
LATER = ("result.json", "report.html", "policy.zip", "model.safetensors", "model.json", "samples.txt")
"""What a run has at its end only."""


def write_run(kind: str, folder: Path) -> None:
    """Trains a run in `folder`/run to its end."""
    demonstrations().save(folder / "demos.npz")
    (folder / "images").mkdir()
    write_idx(folder / "images")
    (folder / "cats.txt").write_text("The cat sat on the mat. " * 9)
    options = AGENTS[kind].replace("DEMOS", str(folder / "demos.npz")).replace("IMAGES", str(folder / "images"))
    options = options.replace("TEXT", str(folder / "cats.txt"))
    command = f"{COMMAND.get(kind, f'train {kind}')} --out {folder / 'run'} --threads 1 --device cpu {options}"
    if cli.main(command.split()) != 0:
        raise RuntimeError(f"rlgen {command}")
    run = folder / "run"
    shutil.rmtree(run / "tensorboard", ignore_errors=True)
    _settle(run)


def unfinish(run: Path, keep: int) -> None:
    """Makes it a run that was stopped before its end, with `keep` checkpoints if it has as many."""
    for name in LATER:
        (run / name).unlink(missing_ok=True)
    checkpoints = sorted((run / "checkpoints").glob("*"), reverse=True)
    for path in (*checkpoints[:1], *checkpoints[1 + keep :]):
        shutil.rmtree(path)


def _settle(run: Path) -> None:
    """Takes out what differs from one training to the next: times, so that a case's number decides its damage."""
    for path in run.rglob("*.zip"):
        members = members_of(path.read_bytes())
        members["data"] = json.dumps({**json.loads(members["data"]), "start_time": 0}).encode()
        path.write_bytes(zipped(members))
    for path in run.glob("result.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "wall_seconds": 1.0}))
    _keep_columns(run / "metrics.csv")


def _keep_columns(path: Path) -> None:
    """Keeps four columns of the metrics, because every one costs the report a panel."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    kept = [place for place, name in enumerate(rows[0]) if name == "step" or name.endswith(("loss", "return_mean"))][:4]
    path.write_text("".join(",".join(cells[place] for place in kept) + "\n" for cells in rows))
