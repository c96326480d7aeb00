"""`rlgen evaluate`: play a trained policy, or measure a trained image model, and say how well it does."""

import logging
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlgen.envs.backend import Backend
from rlgen.envs.ids import registered_id
from rlgen.errors import problem
from rlgen.runs.scores import RETURN_OF

from .environment_options import EnvKwargs, Imports, import_typed
from .output import refuse_existing
from .subject import Subject, of_run, require_bearable

if TYPE_CHECKING:
    from rlgen.runs.folder import RunFolder
    from rlgen.sb3.vec_env import ResumableVecEnv

log = logging.getLogger("rlgen")
OF_POLICIES = (
    *("episodes", "env", "env_kwargs", "imports", "seed", "code"),
    *("n_envs", "backend", "deterministic", "normaliser", "expert"),
)
OF_IMAGES = ("measured", "importance_samples", "classifier", "device")
"""Options that mean nothing for the other kind."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Play a policy for whole episodes and report its returns, or measure the image model of a finished run. Needs no
    demonstrations and writes nothing unless asked.

    The policy is that of a run folder, or of any Stable-Baselines3 .zip with --env. Only its weights and plain JSON are
    read: unlike with `PPO.load`, nothing in the file can run code, so a downloaded model is safe to play.
    """

    policy: tyro.conf.Positional[Path]
    """Run folder, or .zip saved by Stable-Baselines3 (RecurrentPPO, PPO, A2C, TRPO, SAC, TQC, TD3, DDPG, DQN,
    QRDQN)."""
    episodes: int | None = None
    """Whole episodes, spread evenly over the environments. Left out, here and below: as the run's own evaluation, whose
    numbers this then repeats; of a .zip 50."""
    env: str | None = None
    """Gymnasium id, e.g. Ant-v5, or my_module:Mine-v0, whose module is imported; of a run, the one it was trained in
    when left out."""
    env_kwargs: EnvKwargs = field(default_factory=dict)
    """Keyword arguments of the environment, NAME=VALUE or one JSON object; of a run, its own when left out."""
    imports: Imports = ()
    """Module that registers environments, installed or in the current folder; one that a run names is not imported
    before it is given here."""
    seed: int | None = None
    """Of the environments (and of the actions with --no-deterministic); of a .zip 10000 when left out."""
    code: int | None = None
    """Of an InfoGAIL run: always this one of its codes, from 0 on; one drawn for each episode when left out."""
    n_envs: int = 50
    """Environments stepped at once, each for its share of the episodes; 50 is what a run's own evaluation takes."""
    backend: Backend | None = None
    """What steps them; of a .zip auto when left out."""
    deterministic: bool = True
    """Play the mean action, or sample."""
    normaliser: Path | None = None
    """File of observation statistics, a VecNormalize (.pkl) or JSON; by default those that were saved with the policy,
    if any; none: it sees observations as they are."""
    expert: Path | None = None
    """Policy of the expert, a .zip saved by Stable-Baselines3, that plays the same evaluation: what it earns is then 1
    of the normalised score, and random actions are 0."""
    out: Path | None = None
    """Also write the numbers to this .json file, with the return and length of every episode."""
    measured: int | None = None
    """Of an image model: samples, and at most as many test images. Left out, here and below: as in the run, whose
    numbers this then repeats."""
    importance_samples: int | None = None
    """Of an image model: latents drawn for each test image."""
    classifier: str | None = None
    """Of an image model: auto, inception, none, or the .json of a kept one."""
    device: str | None = None
    """Of an image model: where it is measured."""
    overwrite: bool = False
    """Replace that file if it exists."""

    def __post_init__(self) -> None:
        for name in ("episodes", "n_envs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise problem(f"{name} of at least 1", str(value), "leave it out for the default")
        if self.out is not None and self.out.suffix != ".json":
            raise problem("a .json file", str(self.out), "e.g. --out evaluation.json")

    def run(self) -> int:
        from rlgen.runs.evaluation import evaluate
        from rlgen.runs.scores import normalised_return, share_of_failures
        from rlgen.sb3.load import load_policy

        from .environment import make_env

        if self.out is not None:
            refuse_existing(self.out, self.overwrite)
        run = self.image_run()
        if run is not None:
            from .evaluate_image import Measuring, evaluate_image_run

            how = Measuring(**{name: getattr(self, name) for name in OF_IMAGES})
            evaluate_image_run(run, how, self.out)
            return 0
        import_typed(self.imports, self.env)
        subject = self.subject()
        n_envs = min(self.n_envs, subject.episodes)
        env = make_env(
            subject.env,
            n_envs,
            subject.seed,
            subject.backend,
            codes=subject.codes,
            code=self.code,
            env_kwargs=subject.env_kwargs,
        )
        try:
            policy = load_policy(subject.zip, env.observation_space, env.action_space, self.normaliser)
            log.info("%s: read as weights and plain JSON, nothing in it is run", subject.zip)
            played = evaluate(policy, env, subject.episodes, self.deterministic, seed=subject.seed)
        finally:
            env.close()
        subject = self.measured_against(subject)
        numbers: dict[str, Any] = {"env": subject.env, "seed": subject.seed, **played.summary()}
        of_scale = ("random_return", "expert_return", "reference", "reference_seed")
        numbers |= {name: getattr(subject, name) for name in of_scale}
        numbers["normalised_return"] = normalised_return(
            numbers["return_mean"], subject.random_return, subject.expert_return
        )
        numbers["share_of_failures"] = share_of_failures(played.returns, subject.expert_return)
        show(numbers)
        if self.out is not None:
            self.write(numbers, {name: array.tolist() for name, array in asdict(played).items()}, env)
        return 0

    def image_run(self) -> "RunFolder | None":
        """The run, if it is one with an image model. Raises `InputError` for options that the other kind has."""
        from rlgen.runs.folder import RunFolder
        from rlgen.runs.image_report import is_image_run

        folder = RunFolder.open(self.policy) if self.policy.is_dir() else None
        of_images = folder is not None and is_image_run(folder)
        foreign = OF_POLICIES if of_images else OF_IMAGES
        given = [
            each.name for each in fields(self) if each.name in foreign and getattr(self, each.name) != _left_out(each)
        ]
        if given:
            kinds = ("a policy", "an image model") if of_images else ("an image model", "a policy")
            told = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise problem(f"{told} for {kinds[0]}", f"{kinds[1]} in {self.policy}", "leave it out")
        return folder if of_images else None

    def subject(self) -> Subject:
        """What the arguments name. Raises `InputError` where they name nothing that can be played."""
        if not self.policy.exists():
            raise problem("a run folder or a .zip", f"{self.policy}, where nothing is", "check the path")
        if self.policy.is_dir():
            subject = of_run(self.policy, self.env, self.env_kwargs)
            if self.episodes is None:
                require_bearable(subject, self.policy)
        elif self.env is None:
            raise problem(f"--env for {self.policy}", "none", "add the id it was trained in, e.g. --env Ant-v5")
        else:
            subject = Subject(zip=self.policy, env=registered_id(self.env), env_kwargs=self.env_kwargs)
        self._require_code_of(subject)
        asked: dict[str, Any] = {"episodes": self.episodes, "seed": self.seed, "backend": self.backend}
        return replace(subject, **{name: value for name, value in asked.items() if value is not None})

    def measured_against(self, subject: Subject) -> Subject:
        """`subject` with what --expert earns in its evaluation, if that is given, and random actions from its seed."""
        if self.expert is None:
            return subject
        from .environment import make_env
        from .references import chance_return, played_by_expert

        where = {name: getattr(subject, name) for name in ("seed", "backend", "env_kwargs")}
        make = partial(make_env, subject.env, **where)
        earned = played_by_expert(self.expert, make, subject.episodes, subject.seed)
        chance = chance_return(make, subject.seed)
        return replace(
            subject, random_return=chance, expert_return=earned, reference="expert", reference_seed=subject.seed
        )

    def _require_code_of(self, subject: Subject) -> None:
        if self.code is None or self.code in range(subject.codes or 0):
            return
        if subject.codes is None:
            came = f"--code {self.code} for a policy without codes"
            raise problem("--code with a run of `rlgen train infogail` alone", came, "leave it out")
        raise problem(f"a --code from 0 to {subject.codes - 1}", str(self.code), "leave it out to draw them")

    def write(self, numbers: dict[str, Any], per_episode: dict[str, list], env: "ResumableVecEnv") -> None:
        """The numbers, the episodes behind them and how they came about, as JSON."""
        from rlgen.runs.json_file import write_json

        assert self.out is not None
        how = {"policy": str(self.policy), "deterministic": self.deterministic, "code": self.code}
        how |= {"n_envs": env.num_envs, "backend": env.backend, "margin_rule": env.margin_rule}
        how |= {"env_kwargs": env.env_kwargs}
        write_json(self.out, {**numbers, **how, "per_episode": per_episode})


def _left_out(option: Field[Any]) -> Any:
    """What an option is when it is not given."""
    return option.default if option.default_factory is MISSING else option.default_factory()


def show(numbers: dict[str, Any]) -> None:
    """The numbers as a small table on standard output."""
    from rich.table import Table

    from rlgen.system.console import Console

    table = Table("", f"{numbers['env']}, {numbers['episodes']} episodes", box=None, pad_edge=False)
    table.add_row("return", f"{numbers['return_mean']:.1f} ± {numbers['return_std']:.1f}")
    table.add_row("lowest, highest", f"{numbers['return_min']:.1f}, {numbers['return_max']:.1f}")
    table.add_row("episode length", f"{numbers['episode_length_mean']:.1f} steps")
    table.add_row("ended by the task", f"{numbers['terminated']:.0%}")
    if numbers["share_of_failures"] is not None:
        table.add_row("failed", f"{numbers['share_of_failures']:.0%} (below half of {RETURN_OF[numbers['reference']]})")
    if numbers["normalised_return"] is not None:
        scale = f"0 = random {numbers['random_return']:.0f}, 1 = {numbers['reference']} {numbers['expert_return']:.0f}"
        if numbers["reference_seed"] != numbers["seed"]:
            whose = "both" if numbers["reference"] == "expert" else "random"
            scale += f"; {whose} as the run measured with seed {numbers['reference_seed']}, not {numbers['seed']}"
        table.add_row("normalised", f"{numbers['normalised_return']:.3f} ({scale})")
    Console(soft_wrap=True).print(table)
