"""README.md of a published model: a model card in the form of the Hugging Face Hub."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import jinja2
import numpy as np

from rlgen.data.demonstrations import Demonstrations
from rlgen.generators.image_model import Samples
from rlgen.generators.registry import GENERATORS, TEXT_MODELS
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.reports.report import title_of
from rlgen.reports.tables import count, metric_text, metric_unit
from rlgen.runs.folder import RunFolder
from rlgen.runs.model_files import noted_data
from rlgen.runs.result import Result, Returns
from rlgen.runs.scores import RETURN_OF, bootstrap_interval
from rlgen.system.console import number

POLICY_TAGS = ("reinforcement-learning", "deep-reinforcement-learning", "stable-baselines3")
LOAD = {
    "policy": "rlgen.sb3.load_policy",
    "image model": "rlgen.runs.load_image_model",
    "language model": "rlgen.runs.load_text_model",
    "model of instructions": "rlgen.runs.load_instruction_model",
    "sentence VAE": "rlgen.runs.load_text_model",
}
"""The function that loads what is published, by what it is."""
DATA = {
    "image model": (("train", "test"), "images"),
    "language model": (("train", "validation"), "characters"),
    "model of instructions": (("labelled",), "episodes"),
    "sentence VAE": (("train", "validation"), "sentences"),
}
"""Splits of the data of a generative model, and their unit."""
SHOWN_VERSIONS = ("rlgen", "torch", "stable-baselines3", "sb3-contrib", "gymnasium", "mujoco", "numpy")


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """A number of the card's model index."""

    type: str
    name: str
    value: float | str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The contents of the card. Files are named as they lie next to it."""

    name: str
    title: str
    what: str
    """policy, image model or language model."""
    pipeline_tag: str
    tags: tuple[str, ...]
    data: str
    """Environment of a policy, images or texts of a generative model."""
    metrics: tuple[IndexEntry, ...]
    result: str
    pictures: tuple[str, ...]
    videos: tuple[str, ...]
    code: str
    """Python that loads the model."""
    usage: str
    protocol: tuple[str, ...]
    weights: str
    described: str
    zip: str
    """The model of Stable-Baselines3; empty without one."""
    versions: str

    def markdown(self) -> str:
        return _template().render(card=self)


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("rlgen.reports", "")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["quoted"] = lambda value: json.dumps(value, ensure_ascii=False)  # JSON is YAML
    return environment.get_template("model_card.md.j2")


def model_card(
    run: RunFolder,
    demonstrations: Demonstrations | None,
    *,
    name: str,
    repository: str | None,
    files: tuple[str, ...],
) -> ModelCard:
    """The card of a finished run. `demonstrations`: those that it imitated, if any. `repository`: OWNER/NAME on the
    Hub; None for a folder. `files`: names of the files next to the card."""
    result = Result.read(run)
    returns, agent = result.returns, str(run.config.get("agent"))
    data = returns.env if returns else str(result.metrics.get("data", run.config.get("data")))
    what = "policy" if returns else _kind(run, agent)
    pipeline, tags = _task(run, what)
    model = agent if returns else str(result.metrics.get("model", agent))
    return ModelCard(
        name=name,
        title=title_of(run, result),
        what=what,
        pipeline_tag=pipeline,
        tags=(*tags, model, data, "rlgen"),
        data=data,
        metrics=tuple(_of_policy(returns) if returns else _of_generative(run, result)),
        result=_return_sentence(returns) if returns else _metrics_sentence(run, result),
        pictures=tuple(each for each in files if each.endswith((".png", ".gif"))),
        videos=tuple(each for each in files if each.endswith(".mp4")),
        code=_code(what, repository),
        usage=_usage_of_policy(run, repository or name) if returns else _usage(run, what),
        protocol=tuple(_protocol(run, result, what, demonstrations)),
        weights="model.safetensors",
        described="model.json",
        zip="policy.zip" if "policy.zip" in files else "",
        versions=_versions(result),
    )


def _kind(run: RunFolder, agent: str) -> str:
    """What a generative model is."""
    if agent == "instruction":
        return "model of instructions"
    if agent != "text":
        return "image model"
    return "sentence VAE" if TEXT_MODELS.get(str(run.config.get("model"))) is SentenceVAE else "language model"


def _of_policy(returns: Returns) -> Iterator[IndexEntry]:
    value = f"{returns.return_mean:.2f} +/- {returns.return_std:.2f}"  # as Stable-Baselines3's own cards
    yield IndexEntry(type="mean_reward", name=f"return over {returns.episodes} episodes", value=value)
    if returns.normalised_return is not None:
        name = f"normalized return (0 random, 1 {returns.reference})"
        yield IndexEntry(type="normalized_return", name=name, value=round(returns.normalised_return, 4))


def _of_generative(run: RunFolder, result: Result) -> Iterator[IndexEntry]:
    for metric in run.display.results:
        value = result.metrics.get(metric.name)
        if isinstance(value, float):  # whole numbers are sizes
            yield IndexEntry(type=metric.name, name=metric.label, value=value)


def _return_sentence(returns: Returns) -> str:
    """The return with its interval over the episodes, and its normalized score."""
    played = [each for each in returns.per_episode_returns or [] if each is not None]
    mean, episodes = number(returns.return_mean), returns.episodes
    if len(played) == episodes > 1:
        low, high = bootstrap_interval(played, lambda sample: float(np.mean(sample)))
        text = f"**Return {mean} [{number(low)}, {number(high)}]**: mean over {episodes} episodes of {returns.env}"
        text += ", with its 95 % bootstrap interval over these episodes."
    else:
        text = f"**Return {mean} ± {number(returns.return_std)}**: mean and standard deviation over {episodes} episodes"
        text += f" of {returns.env}."
    if returns.normalised_return is not None:
        assert returns.random_return is not None
        assert returns.expert_return is not None
        text += (
            f" Normalized score {returns.normalised_return:.3f}: 0 is the return of random actions, "
            f"{number(returns.random_return)}, and 1 {RETURN_OF[returns.reference]}, {number(returns.expert_return)}."
        )
    return text


def _metrics_sentence(run: RunFolder, result: Result) -> str:
    shown = [metric for metric in run.display.results if metric.name in result.metrics]
    found = result.metrics
    lines = [f"| {each.label} | {metric_text(each, found)} {metric_unit(each, found)} |" for each in shown]
    return "\n".join(["| metric | value |", "|---|---|", *lines])


def _code(what: str, repository: str | None) -> str:
    module, _, function = LOAD[what].rpartition(".")
    if repository is None:
        place, more = '"."', []
    else:
        place, more = f'snapshot_download("{repository}")', ["from huggingface_hub import snapshot_download"]
    then = "policy" if what == "policy" else "model"
    comment = "" if repository else "  # the folder of this file"
    return "\n".join([*more, f"from {module} import {function}", "", f"{then} = {function}({place}){comment}"])


def _task(run: RunFolder, what: str) -> tuple[str, tuple[str, ...]]:
    """The Hub's name of the task, and tags."""
    if what == "policy":
        return "reinforcement-learning", POLICY_TAGS
    if what in ("language model", "sentence VAE"):
        return "text-generation", ("text-generation",)
    if what == "model of instructions":
        return "fill-mask", ("instructions", "imitation-learning")
    if _generates(run):
        return "unconditional-image-generation", ("image-generation",)
    return "image-classification", ("image-classification",)


def _generates(run: RunFolder) -> bool:
    """Whether an image model draws images, rather than classifying them."""
    kind = GENERATORS.get(str(run.config.get("model")))
    return kind is None or issubclass(kind, Samples)


def _usage(run: RunFolder, what: str) -> str:
    if what == "sentence VAE":
        return (
            "`model.sample(2)` writes two sentences; `model.interpolate(one, other)` those between two, and "
            "`model.encode(sentences)` gives posterior means."
        )
    if what == "language model":
        return '`model.sample(2, prompt="The ")` writes two texts; `model.likelihood(text).units()` measures a text.'
    if what == "model of instructions":
        return (
            "`model.features(rows)` gives features of views and instructions, `model.action_logits` and "
            "`model.word_logits` what they predict. `rlgen train bc --encoder.run` starts a policy from the folder."
        )
    if not _generates(run):
        return "`model.class_logits(images)` classifies images [N, channels, height, width] from 0 to 1."
    return "`model.sample(16)` makes images [16, channels, height, width] from 0 to 1."


def _usage_of_policy(run: RunFolder, name: str) -> str:
    played = name.rpartition("/")[2]
    imports = run.config.get("imports") or []
    given = "".join(f" --import {each}" for each in imports)
    text = "`policy.predict(observation, deterministic=True)` gives actions as in Stable-Baselines3. "
    text += f"`rlgen evaluate {played}{given}` plays the evaluation of this card again."
    if imports:
        text += f" The environment is registered by {' and '.join(f'`{each}`' for each in imports)}, which is not here."
    if run.config.get("codes"):
        codes = run.config["codes"]
        text += f" The policy observes one of {codes} codes, one-hot, after the observation: --code plays one."
    return text


def _protocol(run: RunFolder, result: Result, what: str, demonstrations: Demonstrations | None) -> Iterator[str]:
    steps = f"{count(result.steps)} environment steps" if result.unit == "steps" else f"{result.steps:,} updates"
    final = "policy" if result.returns else "model"
    chosen = result.metrics.get("chosen_update")
    if chosen is None:
        yield f"The final {final} of the training, not its best checkpoint; {steps}, seed {result.seed}."
    else:
        yield f"The model with the lowest validation loss, after update {chosen:,} of {steps}, seed {result.seed}."
    if result.returns:
        yield (
            f"{result.returns.episodes} complete episodes of mean actions, environments seeded from "
            f"{result.returns.evaluation_seed}, apart from those of the training; backend "
            f"{result.returns.backend or 'not named'}, contact margins {result.returns.margin_rule}."
        )
        yield "One training: the interval is over episodes of this policy, and says nothing about other seeds."
    splits, unit = DATA.get(what, ((), ""))
    for split, noted in noted_data(run, splits, unit).items():
        yield f"{noted['n']:,} {unit} of {noted['name']} for the {split}, SHA-256 `{noted['sha256']}`."
    if demonstrations is not None:
        named = demonstrations.metadata.get("minari_id")
        known = f" of Minari's `{named}`" if isinstance(named, str) else ""
        kept = "every step" if demonstrations.stride == 1 else f"one of {demonstrations.stride} steps"
        yield (
            f"Demonstrations: {demonstrations.n_episodes} episodes{known}, {kept}, {len(demonstrations):,} "
            f"transitions, SHA-256 `{demonstrations.fingerprint}` (`Demonstrations.fingerprint`)."
        )


def _versions(result: Result) -> str:
    named = [f"{name} {result.versions[name]}" for name in SHOWN_VERSIONS if name in result.versions]
    commit = f", commit {result.git_commit[:12]}" if result.git_commit else ""
    return f"{', '.join(named) or 'unknown versions'}{commit}"
