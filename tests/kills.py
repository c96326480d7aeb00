"""Kill trainings at random moments, go on with them, and compare with the one that nobody killed, bit for bit.

    python -m tests.kills --moments 100 --seed 0 --kinds gail vime sac bc vae

Every training is a fork of this process, which has imported everything once. It is killed by SIGKILL at a moment drawn
evenly from the time that an undisturbed one takes; what goes on after it is killed again, `KILLS_PER_RUN` times, and
then left to finish.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlgen.agents import cli, session
from rlgen.agents.commands import finish as end
from rlgen.agents.commands import training
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs.checkpoint import list_checkpoints, load_checkpoint
from rlgen.runs.evaluate import RandomPolicy
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import same_metrics

KILLS_PER_RUN = 4
LEARNER = "--learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 2 --learner.hidden 8"
AGENTS = "--threads 1 --n-envs 2 --device cpu --seed 3 --no-video --episodes 2 --evaluate-every 128"
VIME = "--vime.hidden 8 --vime.updates-per-rollout 3 --vime.batch-size 16"
KINDS = {
    "gail": f"""train gail --env Hopper-v5 {AGENTS} {LEARNER} --steps 256 --checkpoint-every 64
        --gail.bc.max-updates 40 --gail.bc.check-every 20 --gail.discriminator.hidden 8
        --gail.discriminator.batch-size 32""",
    "vime": f"train vime --env Hopper-v5 {AGENTS} {LEARNER} {VIME} --steps 256 --checkpoint-every 64",
    "sac": f"""train vime --env Hopper-v5 --algo sac {AGENTS} {VIME} --steps 256 --checkpoint-every 64
        --sac.learning-starts 80 --sac.batch-size 8 --sac.hidden 8 --sac.buffer-size 300 --update-every 100""",
    "bc": """train bc --env Hopper-v5 --threads 1 --device cpu --seed 3 --no-video --episodes 2 --hidden 8
        --bc.max-updates 200 --bc.check-every 20""",
    "vae": """train image --model vae --data digits --threads 1 --device cpu --seed 3 --epochs 3 --checkpoint-every 10
        --evaluate-every 20 --log-every 5 --classifier none --importance-samples 2 --measured 50 --vae.hidden 16""",
}
CLOCK = {"wall_seconds", "env_steps_per_second", "images_per_second", "peak_memory_mb", "peak_gpu_memory_mb"}


def begin(arguments: list[str], log: Path) -> int:
    """A fork that runs the command line; its process number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            code = cli.main(arguments)
    except BaseException:  # the child may not become a second parent
        log.write_text(log.read_text() + traceback.format_exc())
    os._exit(code)


def finish(arguments: list[str], log: Path) -> None:
    _, status = os.waitpid(begin(arguments, log), 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise AssertionError(f"`rlgen {' '.join(arguments)}` failed:\n{log.read_text()[-3000:]}")


def killed(arguments: list[str], log: Path, after_s: float) -> bool:
    """Whether the command was killed: False when it had ended before."""
    child, until = begin(arguments, log), time.monotonic() + after_s
    while time.monotonic() < until:
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            return False
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def flat(tree: Any, place: str = "") -> dict[str, Any]:
    """Every leaf by its place, arrays as bytes, without what the clock says."""
    if isinstance(tree, dict | list):
        entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
        leaves = [flat(value, f"{place}/{name}") for name, value in entries if name not in CLOCK | {"seconds"}]
        return {name: value for each in leaves for name, value in each.items()}
    return {place: np.asarray(tree).tobytes() if isinstance(tree, torch.Tensor | np.ndarray) else tree}


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs of the same settings."""
    found = [] if same_metrics(one, other) else ["metrics.csv"]
    results = [json.loads((run / "result.json").read_text()) for run in (one, other)]
    found += [
        f"result.json: {name}" for name in results[0] if name not in CLOCK and results[0][name] != results[1][name]
    ]
    states = [flat(load_checkpoint(run).state) if list_checkpoints(run) else {} for run in (one, other)]
    # Episodes carry the seconds that they took, as Stable-Baselines3's Monitor notes them.
    names = [name for name in states[0].keys() | states[1].keys() if "/episodes/" not in name]
    found += [f"checkpoint: {name}" for name in sorted(names) if states[0].get(name) != states[1].get(name)]
    for name in ("model.safetensors", "samples.png", "visits.npz", "demonstrations.npz"):
        if (one / name).is_file() and (one / name).read_bytes() != (other / name).read_bytes():
            found.append(name)
    found += [f"left behind: {path.relative_to(other)}" for path in other.rglob("*.partial*")]
    return found if RunFolder.open(other).finished else [*found, "not finished"]


def disturbed(arguments: list[str], out: Path, lasts_s: float, kills: int, draw: random.Random) -> int:
    """Run to the end through `kills` kills at most; how many there were."""
    done, log = 0, out.with_suffix(".log")
    while done < kills:
        going = ["resume", str(out)] if (out / "config.json").is_file() else [*arguments, "--out", str(out)]
        if not killed(going, log, draw.uniform(0, lasts_s)):
            break
        done += 1
    if not (out / "config.json").is_file() or not RunFolder.open(out).finished:
        finish(["resume", str(out)] if (out / "config.json").is_file() else [*arguments, "--out", str(out)], log)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    session.CURVE_EPISODES = training.CURVE_EPISODES = end.RANDOM_EPISODES = 2  # most of the time otherwise
    draw, kills, runs, failures = random.Random(asked.seed), 0, 0, 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        demos, env = folder / "demos.npz", make_vec("Hopper-v5", 2, backend="gymnasium")
        Demonstrations.record(RandomPolicy(env.action_space), env, episodes=6).save(demos)
        env.close()
        lasts, commands = {}, {}
        for kind in asked.kinds:
            imitates = ["--demos", str(demos)] if kind in ("gail", "bc") else []
            commands[kind] = [*KINDS[kind].split(), *imitates]
            since = time.monotonic()
            finish([*commands[kind], "--out", str(folder / kind)], folder / f"{kind}.log")
            lasts[kind] = time.monotonic() - since
            print(f"{kind}: {lasts[kind]:.1f} s undisturbed", flush=True)
        while kills < asked.moments:
            kind, out = asked.kinds[runs % len(asked.kinds)], folder / f"run{runs}"
            runs += 1
            most = min(KILLS_PER_RUN, asked.moments - kills)
            done = disturbed(commands[kind], out, lasts[kind], most, draw)
            kills += done
            print(f"{kind}: {done} kills, {kills} in all", flush=True)
            found = differences(folder / kind, out)
            if found:
                failures += 1
                print(f"{kind}: {len(found)} differences: {'; '.join(found[:5])}", flush=True)
    print(f"{kills} kills in {runs} runs of {', '.join(asked.kinds)}: {runs - failures} bit for bit, {failures} not")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
