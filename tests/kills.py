"""Kill trainings at random moments, go on with them, and compare with the one that nobody killed, bit for bit.

    python -m tests.kills --moments 100 --seed 0 --kinds gail vime sac bc text vae

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
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets  # noqa: F401  # imported once, before the forks
import torch
import torch._dynamo

from rlgen.agents import cli
from rlgen.agents.commands import finish as end
from rlgen.agents.commands import policy_training
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs import RunFolder, load_checkpoint
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.evaluation import RandomPolicy
from rlgen.runs.metrics import same_metrics

from .fuzz.short import short, undrawn

KILLS_PER_RUN = 4
LEARNER = "--learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 2 --learner.hidden 8"
AGENTS = "--threads 1 --n-envs 2 --device cpu --seed 3 --no-video --episodes 2 --evaluate-every 128"
VIME = "--vime.hidden 8 --vime.updates-per-rollout 3 --vime.batch-size 16"
KINDS = {
    "gail": f"""train gail --env Hopper-v5 {AGENTS} {LEARNER} --steps 256 --checkpoint-every 64
        --gail.bc.max-updates 40 --gail.bc.check-every 20 --gail.discriminator.hidden 8
        --gail.discriminator.batch-size 32""",
    "vime": f"train vime --env Hopper-v5 {AGENTS} {LEARNER} {VIME} --steps 256 --checkpoint-every 64",
    "sac": f"""train vime --env Hopper-v5 --learner.algorithm sac {AGENTS} {VIME} --steps 256 --checkpoint-every 64
        --learner.learning-starts 80 --learner.batch-size 8 --learner.hidden 8 --learner.buffer-size 300
        --update-every 100""",
    "bc": """train bc --env Hopper-v5 --threads 1 --device cpu --seed 3 --no-video --episodes 2 --hidden 8
        --bc.max-updates 200 --bc.check-every 20""",
    "text": """train text --threads 1 --device cpu --seed 3 --steps 40 --checkpoint-every 6 --evaluate-every 10
        --log-every 4 --batch-size 4 --samples 1 --sample-length 20 --lm.context 16 --lm.width 16 --lm.heads 1""",
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
    for name in ("model.safetensors", "samples.png", "samples.txt", "visits.npz", "demonstrations.npz"):
        if (one / name).is_file() and (one / name).read_bytes() != (other / name).read_bytes():
            found.append(name)
    found += [f"left behind: {path.relative_to(other)}" for path in other.rglob("*.partial*")]
    return found if RunFolder.open(other).finished else [*found, "not finished"]


def disturbed(
    arguments: list[str], whole: Path, out: Path, lasts_s: float, kills: int, draw: random.Random
) -> tuple[int, list[str]]:
    """Runs to the end through `kills` kills at most; how many there were, and what differs from the `whole` run."""
    done, log = 0, out.with_suffix(".log")
    while done < kills and killed(going(arguments, out), log, draw.uniform(0, lasts_s)):
        done += 1
    try:
        if not (out / "config.json").is_file() or not RunFolder.open(out).finished:
            finish(going(arguments, out), log)
    except AssertionError as error:
        return done, [str(error)]
    return done, differences(whole, out)


def going(arguments: list[str], out: Path) -> list[str]:
    """What a user types next: the same again where nothing is left to go on with."""
    return ["resume", str(out)] if (out / "config.json").is_file() else [*arguments, "--out", str(out)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    policy_training.CURVE_EPISODES = end.RANDOM_EPISODES = 2  # most of the time otherwise
    draw = random.Random(asked.seed)
    tally: dict[str, Counter[str]] = {name: Counter() for name in ("runs", "kills", "equal")}
    with contextlib.ExitStack() as stack:
        # Figures would take nine tenths of the time, and the kills; what is trained is what may go wrong.
        stack.enter_context(short())
        stack.enter_context(undrawn())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        demos, env = folder / "demos.npz", make_vec("Hopper-v5", 2, backend="gymnasium")
        Demonstrations.record(RandomPolicy(env.action_space), env, episodes=6).save(demos)
        env.close()
        text = folder / "cats.txt"
        text.write_text("The cat sat on the mat, and the rat sat on the hat.\n" * 40)
        lasts, commands = {}, {}
        for kind in asked.kinds:
            read = {"gail": ["--demos", demos], "bc": ["--demos", demos], "text": ["--data", text]}.get(kind, [])
            commands[kind] = [*KINDS[kind].split(), *map(str, read)]
            since = time.monotonic()
            finish([*commands[kind], "--out", str(folder / kind)], folder / f"{kind}.log")
            lasts[kind] = time.monotonic() - since
            print(f"{kind}: {lasts[kind]:.1f} s undisturbed", flush=True)
        while sum(tally["kills"].values()) < asked.moments:
            runs = sum(tally["runs"].values())
            kind, out = asked.kinds[runs % len(asked.kinds)], folder / f"run{runs}"
            most = min(KILLS_PER_RUN, asked.moments - sum(tally["kills"].values()))
            since = time.monotonic()
            done, found = disturbed(commands[kind], folder / kind, out, lasts[kind], most, draw)
            if not done:  # the machine has become faster
                lasts[kind] = min(lasts[kind], time.monotonic() - since)
            tally["runs"][kind] += 1
            tally["kills"][kind] += done
            tally["equal"][kind] += not found
            print(f"{kind}: {done} kills, {'; '.join(found[:5]) or 'bit for bit'}", flush=True)
    return report(tally)


def report(tally: dict[str, Counter[str]]) -> int:
    """Prints a line for each kind; 1 if a run differs from the undisturbed one."""
    print(f"\n{'kind':<8}" + "".join(f"{name:>8}" for name in tally))
    for kind in [*tally["runs"], "all"]:
        counts = [each.total() if kind == "all" else each[kind] for each in tally.values()]
        print(f"{kind:<8}" + "".join(f"{count:>8}" for count in counts))
    return 0 if tally["equal"].total() == tally["runs"].total() else 1


if __name__ == "__main__":
    sys.exit(main())
