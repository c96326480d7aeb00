"""The table of commands. Only the chosen one is imported. A new agent is one line here, and the file it names."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from rlgen.errors import problem


class Runnable(Protocol):
    """A parsed command. `run` returns an exit code, None for 0, and raises `InputError` for errors of the user."""

    def run(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of the table."""

    words: str
    """Words typed after `rlgen`."""
    target: str
    """Location of the command, `module:class` under rlgen.agents.commands; a dataclass with a `run` method."""
    summary: str
    example: str
    present: str | None = None
    """Words of the command that replaces this one; None for a current command."""
    agent: str | None = None
    """Agent that its runs name, of a command that is not `train`."""
    own: bool = False
    """Whether it is a user's agent, whose module is not below rlgen.agents.commands."""


COMMANDS = (
    Command(
        words="train gail",
        target="train_gail:TrainGAIL",
        summary="Imitate demonstrations against a discriminator (GAIL).",
        example="rlgen train gail --env Ant-v5 --demos ant.npz --steps 1e6 --seed 0 --out runs/ant-gail",
    ),
    Command(
        words="train infogail",
        target="train_gail:TrainInfoGAIL",
        summary="Imitate several experts at once, one per code (InfoGAIL).",
        example="rlgen train infogail --env Ant-v5 --demos several.npz --codes 2 --out runs/ant-ways",
    ),
    Command(
        words="train sqil",
        target="train_sqil:TrainSQIL",
        summary="Imitate by a reward of 1 for what was demonstrated, without a discriminator (SQIL).",
        example="rlgen train sqil --env Ant-v5 --demos ant.npz --steps 2e5 --out runs/ant-sqil",
    ),
    Command(
        words="train lsiq",
        target="train_lsiq:TrainLSIQ",
        summary="Imitate by regression of SAC's critics to fixed rewards, within bounds (LS-IQ, IQ-Learn).",
        example="rlgen train lsiq --env Ant-v5 --demos ant.npz --steps 5e5 --out runs/ant-lsiq",
    ),
    Command(
        words="train csil",
        target="train_csil:TrainCSIL",
        summary="Imitate by rewards of a cloned policy, without a discriminator (CSIL).",
        example="rlgen train csil --env Ant-v5 --demos ant.npz --steps 2.5e5 --out runs/ant-csil",
    ),
    Command(
        words="train bc",
        target="train_bc:TrainBC",
        summary="Imitate demonstrations by regression (behavioral cloning).",
        example="rlgen train bc --env Ant-v5 --demos ant.npz --out runs/ant-bc",
    ),
    Command(
        words="train airl",
        target="train_airl:TrainAIRL",
        summary="Imitate, and learn a reward for later trainings (AIRL).",
        example="rlgen train airl --env Ant-v5 --demos ant.npz --steps 1e6 --out runs/ant-airl",
    ),
    Command(
        words="train pwil",
        target="train_pwil:TrainPWIL",
        summary="Imitate by the distance of episodes from the demonstrations (PWIL).",
        example="rlgen train pwil --env Ant-v5 --demos ant.npz --stride 20 --steps 5e5 --out runs/ant-pwil",
    ),
    Command(
        words="train dagger",
        target="train_dagger:TrainDAgger",
        summary="Imitate an expert that labels the learner's own states (DAgger).",
        example="rlgen train dagger --env Ant-v5 --expert expert.zip --steps 1e5 --out runs/ant-dagger",
    ),
    Command(
        words="train rl",
        target="train_rl:TrainRL",
        summary="Learn a task from its own reward (PPO, A2C, TRPO, SAC, TD3, TQC, CrossQ, DQN).",
        example="rlgen train rl --env Ant-v5 --learner.algorithm ppo --steps 1e6 --out runs/ant-ppo",
    ),
    Command(
        words="train explore",
        target="train_explore:TrainExplore",
        summary="Explore by curiosity where rewards are rare (VIME, RND, ICM and others).",
        example="rlgen train explore --env rlgen/SparseHalfCheetah-v0 --curiosity rnd --steps 1e6 --out runs/rnd",
    ),
    Command(
        words="train vime",
        target="train_explore:TrainExplore",
        summary="Explore by information gain: `train explore` with its default, --curiosity vime.",
        example="rlgen train vime --env rlgen/SparseHalfCheetah-v0 --steps 1e6 --out runs/cheetah-vime",
    ),
    Command(
        words="explore",
        target="explore:Explore",
        summary="Find rare rewards by an archive of restored states (Go-Explore), for demonstrations.",
        example="rlgen explore --env rlgen/SparseAnt-v0 --steps 5e5 --out runs/ant-archive",
        agent="archive",
    ),
    Command(
        words="train noise",
        target="train_noise:TrainNoise",
        summary="Explore by action noise alone, without learning: what a curiosity is compared with.",
        example="rlgen train noise --env rlgen/SparseHalfCheetah-v0 --steps 1e6 --out runs/cheetah-noise",
    ),
    Command(
        words="train image",
        target="train_image:TrainImage",
        summary="Learn to make images (VAE, GAN and others).",
        example="rlgen train image --model vae --data digits --epochs 100 --out runs/digits-vae",
    ),
    Command(
        words="train text",
        target="train_text:TrainText",
        summary="Learn to write texts (a language model, Transformer or LSTM) or sentences (a VAE).",
        example="rlgen train text --data shakespeare.txt --steps 2400 --out runs/text",
    ),
    Command(
        words="train instruction",
        target="train_instruction:TrainInstruction",
        summary="Learn instructions in what is seen, for policies to start from, with a speaker (Prevalent).",
        example="rlgen train instruction --data babyai.npz --labelled 100 --speaker on --out runs/instructions",
    ),
    Command(
        words="resume",
        target="resume:Resume",
        summary="Continue a run that was stopped or killed, or extend it.",
        example="rlgen resume runs/ant-gail",
    ),
    Command(
        words="evaluate",
        target="evaluate:Evaluate",
        summary="Play a run's policy, or any Stable-Baselines3 zip, or measure a run's image or language model.",
        example="rlgen evaluate runs/ant-gail --episodes 50",
    ),
    Command(
        words="report",
        target="report:Report",
        summary="Write one web page on a run, or a comparison of several.",
        example="rlgen report runs/ant-gail runs/ant-bc --out comparison.html",
    ),
    Command(
        words="publish",
        target="publish:Publish",
        summary="Write a run's model for others, with a model card: to a folder or the Hugging Face Hub.",
        example="rlgen publish runs/ant-gail --to published/ant-gail",
    ),
    Command(
        words="demos record",
        target="demos:DemosRecord",
        summary="Record demonstrations by playing a policy.",
        example="rlgen demos record --policy expert.zip --env Ant-v5 --episodes 25 --out ant.npz",
    ),
    Command(
        words="demos convert",
        target="demos:DemosConvert",
        summary="Convert demonstrations from one file format to another.",
        example="rlgen demos convert theirs.h5 ours.npz",
    ),
    Command(
        words="demos fetch",
        target="demos_fetch:DemosFetch",
        summary="Download demonstrations from Minari.",
        example="rlgen demos fetch minari:mujoco/ant/expert-v0 --out ant.npz",
    ),
    Command(
        words="demos inspect",
        target="demos:DemosInspect",
        summary="Show what a file of demonstrations holds.",
        example="rlgen demos inspect ant.npz",
    ),
    Command(
        words="bench plan",
        target="bench:BenchPlan",
        summary="Show the cells of a benchmark, and what they cost.",
        example="rlgen bench plan gail-2016",
    ),
    Command(
        words="bench run",
        target="bench:BenchRun",
        summary="Run a benchmark: tasks × agents × seeds, from a file.",
        example="rlgen bench run gail-2016 --quick --jobs 2 --out bench/gail",
    ),
    Command(
        words="bench work",
        target="bench:BenchWork",
        summary="Work on a benchmark's folder, from any machine that sees it.",
        example="rlgen bench work bench/gail --jobs 8",
    ),
    Command(
        words="bench status",
        target="bench_results:BenchStatus",
        summary="Show how far a benchmark is, live.",
        example="rlgen bench status bench/gail",
    ),
    Command(
        words="bench report",
        target="bench_report:BenchReport",
        summary="Write a benchmark's table and page from the cells that are done.",
        example="rlgen bench report bench/gail",
    ),
    Command(
        words="bench diff",
        target="bench_compare:BenchDiff",
        summary="Compare two benchmarks row by row; exit code 1 if one is worse.",
        example="rlgen bench diff bench/before bench/after",
    ),
    Command(
        words="bench power",
        target="bench_compare:BenchPower",
        summary="Show how many more seeds a benchmark needs.",
        example="rlgen bench power bench/gail --share 0.05 --power 0.8",
    ),
    Command(
        words="tune",
        target="tune:Tune",
        summary="Choose options of an agent by trials over several seeds (Optuna).",
        example="rlgen tune tune.toml --out tune/ppo",
    ),
    Command(
        words="demo",
        target="demo:Demo",
        summary="See it work: train, evaluate and report in a quarter of an hour.",
        example="rlgen demo",
    ),
    Command(
        words="doctor",
        target="doctor:Doctor",
        summary="Check this machine: versions, devices, stepping, rendering.",
        example="rlgen doctor",
    ),
)

DEFINED: dict[str, type[Any]] = {}
"""Settings of every agent whose module is imported, by the agent's name; `RunSettings` adds its subclasses."""

EARLIER = (
    Command(
        words="train ppo",
        target="train_rl:TrainRL",
        summary="Learn a task from its own reward by PPO.",
        example="rlgen train rl --env Ant-v5 --steps 1e6 --out runs/ant-ppo",
        present="train rl",
    ),
)
"""Commands of earlier versions, which work for one more version."""


def find(arguments: Sequence[str]) -> tuple[Command, list[str]] | None:
    """The command that `arguments` begin with, and the arguments after it; None for no known command.

    `train MODULE:CLASS` is an agent of the user's own.
    """
    if len(arguments) > 1 and arguments[0] == "train" and ":" in arguments[1]:
        typed = f"train {arguments[1]}"
        own = Command(words=typed, target=arguments[1], summary="", example=f"rlgen {typed} --help", own=True)
        return own, list(arguments[2:])
    for command in (*COMMANDS, *EARLIER):
        words = command.words.split()
        if list(arguments[: len(words)]) == words:
            return command, list(arguments[len(words) :])
    return None


def load(command: Command) -> type[Runnable]:
    """The class of a command. Raises `InputError` for a user's agent that is not found or no settings of a run."""
    module, _, name = command.target.partition(":")
    if command.own:
        return own_settings(module, name)
    return getattr(import_module(f"rlgen.agents.commands.{module}"), name)


def own_settings(module: str, name: str) -> type[Any]:
    """The class of settings of a user's agent, whose module was typed."""
    from rlgen.envs.registration import import_modules

    import_modules([module])
    found = getattr(sys.modules[module], name, None)
    if not isinstance(found, type) or found not in DEFINED.values():
        got = f"{name} of {module}, which is {'absent' if found is None else 'none'}"
        raise problem("a class of settings with the name of its agent", got, "see docs/extend/agent.md")
    return found


def settings_for(chosen: type[Runnable], arguments: Sequence[str]) -> type[Runnable]:
    """The class whose options are offered. A command whose options depend on a choice selects them by `arguments`."""
    narrow = getattr(chosen, "for_arguments", None)
    return chosen if narrow is None else narrow(arguments, {})


def trainings() -> list[str]:
    """Names of the agents that `rlgen train` trains."""
    return [command.words.split()[1] for command in COMMANDS if command.words.startswith("train ")]


def settings_of_agent(agent: Any, where: object) -> Any:
    """The class of settings of `agent`, the agent of the run `where`: one of the table, or of an imported module.

    Raises `InputError` for an unknown agent. A module is never imported because a file names its agent.
    """
    for command in COMMANDS:
        if command.words == f"train {agent}" or (command.agent is not None and command.agent == agent):
            return load(command)
    if isinstance(agent, str) and agent in DEFINED:
        return DEFINED[agent]
    raise problem(
        f"a run of {' or '.join(trainings())}",
        f"agent {agent!r} in {where}",
        "use the version of rlgen that wrote it, or name the module of an agent of your own: --import MODULE",
    )
