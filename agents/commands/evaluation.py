"""Evaluations of `rlgen evaluate`: of a policy, an image model or a language model. The run's settings determine which
one is used."""

import logging
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import tyro

from rlgen.checks import at_least
from rlgen.envs.backend import Backend
from rlgen.envs.registration import registered_id
from rlgen.errors import InputError, problem
from rlgen.runs.scores import RETURN_OF

from .environment import EnvKwargs, Imports, import_typed
from .subject import Subject, of_run, require_bearable

if TYPE_CHECKING:
    from rlgen.data.playing import Policy
    from rlgen.runs.folder import RunFolder

    from .attack import ObservationAttack

log = logging.getLogger("rlgen")
EPSILON = 0.1
"""Radius of an attack without --epsilon."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """An evaluation whose options are its fields; by default they have the values of the run."""

    subject_name: ClassVar[str]
    """Name of the evaluated subject in messages."""

    policy: tyro.conf.Positional[Path]
    """Run folder, also a published one, or .zip saved by Stable-Baselines3 (RecurrentPPO, PPO, A2C, TRPO, SAC, TQC,
    TD3, DDPG, DQN, QRDQN)."""

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Print the numbers, and return them in the form of the file."""


@dataclass(frozen=True, kw_only=True)
class PolicyEvaluation(Evaluation):
    """The evaluation of a policy over complete episodes."""

    subject_name = "a policy"

    episodes: int | None = None
    """Complete episodes, equally many in each environment. By default, as for the options below, the value of the run's
    own evaluation, whose numbers are then reproduced; 50 for a .zip."""
    env: str | None = None
    """Gymnasium id, e.g. Ant-v5, or my_module:Mine-v0, whose module is imported; by default the one that the run was
    trained in."""
    env_kwargs: EnvKwargs = field(default_factory=dict)
    """Keyword arguments of the environment, NAME=VALUE or one JSON object; by default those of the run."""
    imports: Imports = ()
    """Module that registers environments, installed or in the current folder. A module that the run's files name is
    imported only if it is given here."""
    seed: int | None = None
    """Random seed of the environments (and of the actions with --no-deterministic); by default that of the run, 10000
    for a .zip."""
    code: int | None = None
    """Code that a policy of InfoGAIL observes in all episodes, from 0 on; by default one is drawn for each episode."""
    n_envs: int = 50
    """Environments stepped at once, each for its share of the episodes; a run's own evaluation has 50."""
    backend: Backend | None = None
    """Simulator of the environments; by default that of the run, auto for a .zip."""
    deterministic: bool = True
    """Mean actions instead of sampled ones."""
    normalizer: Path | None = None
    """File of observation statistics, a VecNormalize (.pkl) or JSON; by default those saved with the policy, if any;
    none: the policy gets observations as they are."""
    expert: Path | None = None
    """Policy of the expert, a .zip saved by Stable-Baselines3, or babyai-bot, for the same evaluation: its return is
    then 1 of the normalized score, and that of random actions 0."""

    attack: Literal["fgsm", "pgd"] | None = None
    """Attack on the observations of the policy while it acts, which changes its action most: fgsm, one step of the
    gradient (Goodfellow et al. 2015, 1412.6572), or pgd, ten (Madry et al. 2018, 1706.06083); by default none."""
    epsilon: float | None = None
    """Radius of the attack: the largest change of an observation number, in its standard deviations by the policy's
    normalizer, or else those that a random policy visits; 0.1 by default."""

    def __post_init__(self) -> None:
        for name in ("episodes", "n_envs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise problem(f"{name} of at least 1", str(value), "leave it out for the default")
        if self.epsilon is not None:
            at_least(self, 0, "epsilon")
            if self.attack is None:
                got = f"--epsilon {self.epsilon:g} without --attack"
                raise problem("the radius of an attack", got, "add --attack fgsm or pgd, or leave --epsilon out")

    def evaluate(self) -> dict[str, Any]:
        from rlgen.runs.evaluation import evaluate
        from rlgen.runs.instruction_episodes import InstructionEpisodes
        from rlgen.runs.instruction_scores import instruction_scores
        from rlgen.runs.scores import normalised_return, share_of_failures
        from rlgen.sb3.load import load_policy

        from .environment import make_env

        import_typed(self.imports, self.env)
        subject = self.subject()
        n_envs = min(self.n_envs, subject.episodes)
        make = partial(
            make_env,
            subject.env,
            backend=subject.backend,
            codes=subject.codes,
            code=self.code,
            env_kwargs=subject.env_kwargs,
        )
        env = make(n_envs, subject.seed)
        policy: Policy
        attack: dict[str, Any] = {}
        try:
            policy = loaded = load_policy(subject.saved, env.observation_space, env.action_space, self.normalizer)
            log.info("%s: only weights and plain JSON are read, no code is run", subject.saved)
            if self.attack is not None:
                policy, attack = self.attack_on(subject).on(loaded, make)
            played = evaluate(policy, env, subject.episodes, self.deterministic, seed=subject.seed)
            scores = instruction_scores(InstructionEpisodes.of(played, env, subject.seed))
        finally:
            env.close()
        subject = self.measured_against(subject)
        numbers: dict[str, Any] = {"env": subject.env, "seed": subject.seed, **played.summary(), **scores}
        of_scale = ("random_return", "expert_return", "reference", "reference_seed")
        numbers |= {name: getattr(subject, name) for name in of_scale}
        numbers["normalised_return"] = normalised_return(
            numbers["return_mean"], subject.random_return, subject.expert_return
        )
        numbers["share_of_failures"] = share_of_failures(played.returns, subject.expert_return)
        show(numbers)
        return {
            **numbers,
            **self.how(env),
            **attack,
            "per_episode": {name: each.tolist() for name, each in asdict(played).items() if each is not None},
        }

    def subject(self) -> Subject:
        """The policy that the arguments name. Raises `InputError` if they name none."""
        if not self.policy.exists():
            raise problem("a run folder or a .zip", f"{self.policy}, where nothing is", "check the path")
        if self.policy.is_dir():
            subject = of_run(self.policy, self.env, self.env_kwargs)
            if self.episodes is None:
                require_bearable(subject, self.policy)
        elif self.env is None:
            raise problem(f"--env for {self.policy}", "none", "add the id it was trained in, e.g. --env Ant-v5")
        else:
            subject = Subject(saved=self.policy, env=registered_id(self.env), env_kwargs=self.env_kwargs)
        self._require_code_of(subject)
        asked: dict[str, Any] = {"episodes": self.episodes, "seed": self.seed, "backend": self.backend}
        return replace(subject, **{name: value for name, value in asked.items() if value is not None})

    def attack_on(self, subject: Subject) -> "ObservationAttack":
        """The attack that the arguments name."""
        from .attack import ObservationAttack

        assert self.attack is not None
        epsilon = EPSILON if self.epsilon is None else self.epsilon
        return ObservationAttack(name=self.attack, epsilon=epsilon, codes=subject.codes or 0)

    def measured_against(self, subject: Subject) -> Subject:
        """`subject` with the returns of --expert, if given, and of random actions in its evaluation."""
        if self.expert is None:
            return subject
        from .environment import make_env
        from .finish import played_by_expert, random_return

        where = {name: getattr(subject, name) for name in ("seed", "backend", "env_kwargs")}
        make = partial(make_env, subject.env, **where)
        earned = played_by_expert(self.expert, make, subject.episodes, subject.seed)
        chance = random_return(make, subject.seed)
        return replace(
            subject, random_return=chance, expert_return=earned, reference="expert", reference_seed=subject.seed
        )

    def _require_code_of(self, subject: Subject) -> None:
        if self.code is None or self.code in range(subject.codes or 0):
            return
        if subject.codes is None:
            got = f"--code {self.code} for a policy without codes"
            raise problem("--code only with a run of `rlgen train infogail`", got, "leave it out")
        raise problem(f"a --code from 0 to {subject.codes - 1}", str(self.code), "leave it out to draw codes")

    def how(self, env: Any) -> dict[str, Any]:
        """The settings of the evaluation, as entries of the file."""
        return {
            "policy": str(self.policy),
            "deterministic": self.deterministic,
            "code": self.code,
            "n_envs": env.num_envs,
            "backend": env.backend,
            "margin_rule": env.margin_rule,
            "env_kwargs": env.env_kwargs,
        }


def show(numbers: dict[str, Any]) -> None:
    """Print the numbers as a small table."""
    from rich.table import Table

    from rlgen.reports.tables import metric_text
    from rlgen.runs.instruction_scores import METRICS
    from rlgen.system.console import Console, number

    table = Table("", f"{numbers['env']}, {numbers['episodes']} episodes", box=None, pad_edge=False)
    table.add_row("return", f"{number(numbers['return_mean'])} ± {number(numbers['return_std'])}")
    table.add_row("lowest, highest", f"{number(numbers['return_min'])}, {number(numbers['return_max'])}")
    table.add_row("episode length", f"{numbers['episode_length_mean']:.1f} steps")
    table.add_row("ended by the task", f"{numbers['terminated']:.0%}")
    for metric in METRICS:
        if metric.name in numbers:
            table.add_row(metric.label, metric_text(metric, numbers))
    if numbers["share_of_failures"] is not None:
        table.add_row("failed", f"{numbers['share_of_failures']:.0%} (below half of {RETURN_OF[numbers['reference']]})")
    if numbers["normalised_return"] is not None:
        ends = number(numbers["random_return"]), number(numbers["expert_return"])
        scale = f"0 = random {ends[0]}, 1 = {numbers['reference']} {ends[1]}"
        if numbers["reference_seed"] != numbers["seed"]:
            whose = "both" if numbers["reference"] == "expert" else "random"
            scale += f"; {whose} as the run measured with seed {numbers['reference_seed']}, not {numbers['seed']}"
        table.add_row("normalized", f"{numbers['normalised_return']:.3f} ({scale})")
    Console(soft_wrap=True).print(table)


OF_TRAINING = (
    *("model", "data", "classes", "images", "tokens", "sentences", "examples", "parameters", "start", "encoder"),
    "chosen_update",
    *("written", "written_exact", "written_words"),
)
"""Metrics that are taken from the run."""


@dataclass(frozen=True, kw_only=True)
class GenerativeEvaluation(Evaluation):
    """The evaluation of a generative model on data that it was not trained on."""

    device: str | None = None
    """Device of the evaluation (image model, language model)."""

    def evaluate(self) -> dict[str, Any]:
        from rlgen.runs.folder import RunFolder
        from rlgen.runs.model_files import WEIGHTS
        from rlgen.runs.result import Result

        from .finish import print_result
        from .resume import shown

        folder = RunFolder.open(self.policy)
        if not (folder / WEIGHTS).is_file() or not (folder / "result.json").is_file():
            got = "a run that has not finished"
            raise problem(f"{WEIGHTS} and result.json in {folder.path}", got, f"finish it: rlgen resume {folder.path}")
        before = Result.read(folder)
        known = {name: before.metrics[name] for name in OF_TRAINING if name in before.metrics}
        result = replace(before, metrics={**known, **self.measure(folder)})
        if "warning" in result.metrics:
            log.warning("the samples have collapsed: %s", result.metrics["warning"])
        print_result(result, shown(folder))
        return {"run": str(folder.path), **result.metrics}

    @abstractmethod
    def measure(self, folder: "RunFolder") -> dict[str, Any]:
        """The metrics of the run's model on the data of its configuration."""

    def recorded(self, folder: "RunFolder", *names: str) -> tuple[Any, Any]:
        """The settings of the run, with the options `names` and the device that were given, and the device."""
        from rlgen.system.device import choose_device, set_torch_threads

        from .resume import recorded_settings

        asked = {name: getattr(self, name) for name in (*names, "device")}
        config = recorded_settings(folder, {name: value for name, value in asked.items() if value is not None})
        set_torch_threads(config.threads)
        device, sentence = choose_device(config.device)
        log.info(sentence)
        return config, device


@dataclass(frozen=True, kw_only=True)
class ImageEvaluation(GenerativeEvaluation):
    """The evaluation of an image model on test images."""

    subject_name = "an image model"

    measured: int | None = None
    """Number of samples, and at most as many test images (image model); by default, as for the options below, the value
    of the run, whose numbers are then reproduced."""
    importance_samples: int | None = None
    """Importance samples per test image (image model) or latents per validation sentence (sentence VAE)."""
    classifier: str | None = None
    """Classifier whose features are compared (image model): auto, inception, none, or the .json of a saved one."""

    def measure(self, folder: "RunFolder") -> dict[str, Any]:
        from rlgen.runs.image_files import load_image_model, require_noted_images

        from ..image_metrics import weighs_samples
        from .image_checks import as_seen, binarization_of, require_classifier_file, require_domains, require_measurable

        config, device = self.recorded(folder, "measured", "importance_samples", "classifier")
        require_classifier_file(config.extractor)
        train, test = (config.images(split).to(device) for split in ("train", "test"))
        require_noted_images(folder, train, test)
        require_measurable(train, test, config.extractor, config.measured)
        model = load_image_model(folder, device)
        if self.importance_samples is not None and not weighs_samples(type(model)):
            got = f"--importance-samples {self.importance_samples} for {config.model}, where it has no effect"
            raise problem("a model whose likelihood is bounded by importance samples", got, "leave it out")
        require_domains(model, test, config.extractor)
        held_out = as_seen(test, model, binarization_of(model, config.binarize))
        return config.measurement.of(model, train, test, held_out)


@dataclass(frozen=True, kw_only=True)
class TextEvaluation(GenerativeEvaluation):
    """The evaluation of a language model on the validation text, or of a sentence VAE on the validation sentences, and
    samples of it."""

    subject_name = "a language model"

    prompt: str | None = None
    """Text that a printed sample continues (language model); by default no sample is printed."""
    sample_length: int | None = None
    """Tokens of the sample after the prompt (language model); by default the value of the run."""
    labels: bool = False
    """Accuracy of classifiers of the latents, whose classes are the files of the data, and sentences that are moved
    from one class to the other (sentence VAE); a run with --labels has them anyway."""
    importance_samples: int | None = None
    """Importance samples per test image (image model) or latents per validation sentence (sentence VAE)."""

    def measure(self, folder: "RunFolder") -> dict[str, Any]:
        from rlgen.data.sentence_model import SentenceModel
        from rlgen.runs.model_files import require_noted_data
        from rlgen.runs.text_files import load_text_model
        from rlgen.system.console import Console

        from ..label_metrics import label_use

        config, device = self.recorded(folder, "prompt", "sample_length", "importance_samples")
        kind, model = config.training_type, load_text_model(folder, device)
        if self.prompt is not None:
            Console().print(config.samples_of_run(1).of(model), soft_wrap=True, markup=False, highlight=False)
        try:
            corpus = config.texts()
        except InputError as error:  # a published model comes without its texts
            if self.prompt is None:
                raise
            log.warning("not measured, because its texts are not here: %s", error)
            return {}
        require_noted_data(folder, corpus.fingerprints(), kind.noted)
        found: dict[str, Any] = kind.final_metrics(model, corpus, config.importance_samples)
        if not (self.labels or config.labels):
            return found
        if not isinstance(model, SentenceModel):
            got = f"a language model in {folder.path}, which has none"
            raise problem("a model with latents (vae), which predict labels", got, "leave --labels out")
        use = label_use(model, corpus)
        Console().print(use.guided, soft_wrap=True, markup=False, highlight=False)
        return {**found, **use.metrics}


@dataclass(frozen=True, kw_only=True)
class InstructionEvaluation(GenerativeEvaluation):
    """The evaluation of a model of instructions, and of its speaker, on the held-out episodes."""

    subject_name = "a model of instructions"

    def measure(self, folder: "RunFolder") -> dict[str, Any]:
        from rlgen.runs.instruction_files import SPEAKER, load_instruction_model, load_speaker
        from rlgen.runs.model_files import require_noted_data

        from ..instruction_metrics import measure_instructions, measure_speaker

        config, device = self.recorded(folder)
        split = config.split()
        require_noted_data(folder, split.prints, "examples")
        found: dict[str, Any] = {"held_out_episodes": len(split.held_out)}
        found |= measure_instructions(load_instruction_model(folder, device), split.held_out, device)
        if (folder / SPEAKER).is_dir():
            found |= measure_speaker(load_speaker(folder, device), split.held_out, device)
        return found
