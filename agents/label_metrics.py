"""What the latents of a sentence VAE say about classes of sentences: classification from few labels, and sentences that
are moved from one class to another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.data.bag_of_words import BagOfWords
from rlgen.data.sentence_model import SentenceModel
from rlgen.data.sentences import Labeled, Sentences
from rlgen.display import Metric
from rlgen.nn.logistic_regression import LogisticRegression

SIZES = (10, 100, 1_000)
"""Numbers of labels that classifiers learn from, equally many of each class."""
DRAWS = 10
"""Random draws of so many labels."""
SEED = 60_000
SHIFTS = (-2, -1, 0, 1, 2)
"""Standard deviations by which sentences are moved."""
GUIDED, SHOWN = 200, 8
"""Validation sentences that are moved, and those of them that the file shows, the first ones of a random order."""
GUIDED_FILE = "guided.txt"
CAPTION = (
    f"The first {SHOWN} validation sentences, and what the decoder writes when their latents move along the line of "
    f"class means by {SHIFTS[0]} to {SHIFTS[-1]} standard deviations"
)
RESULTS = (
    *(
        Metric(
            f"{kind}_accuracy_{size}", f"{words}, {size:,} labels", "accuracy", f"{kind}_accuracy_{size}_standard_error"
        )
        for size in SIZES
        for kind, words in (("latent", "classes by latents"), ("words", "classes by bags of words"))
    ),
    Metric("latent_accuracy_all", "classes by latents, all labels", share=True),
    Metric("words_accuracy_all", "classes by bags of words, all labels", share=True),
    Metric("guided_class", "class of guided sentences"),
    *(Metric(f"guided_{shift:+d}", f"taken for it when moved by {shift:+d} std", share=True) for shift in SHIFTS),
)
"""Metrics of the finished model that reports show."""


@dataclass(frozen=True)
class LabelUse:
    """Metrics by name, and the text of the file of guided sentences; no such text for other numbers of classes than
    two."""

    metrics: dict[str, Any]
    guided: str = ""


def label_use(model: SentenceModel, corpus: Sentences) -> LabelUse:
    """What the latents say about the files of the sentences.

    Classifiers learn from training sentences and are measured on validation sentences, which the model did not see
    either."""
    corpus.require_classes()
    train, held_out, classes = corpus.labeled("train"), corpus.labeled("validation"), len(corpus.classes)
    latents = model.encode(train.sentences).cpu().double()
    mean, std = latents.mean(0), latents.std(0).clamp(min=1e-12)
    standardized = [(each - mean) / std for each in (latents, model.encode(held_out.sentences).cpu().double())]
    found: dict[str, Any] = {"n_classes": classes, "n_labels": len(train.labels)}
    for size in SIZES:
        found |= few_labels(size, standardized, train, held_out, classes)
    by_latents = LogisticRegression.fitted(standardized[0], train.labels, classes)
    bag = BagOfWords(train.sentences)
    by_words = LogisticRegression.fitted(bag(train.sentences), train.labels, classes)
    found["latent_accuracy_all"] = by_latents.accuracy(standardized[1], held_out.labels)
    found["words_accuracy_all"] = by_words.accuracy(bag(held_out.sentences), held_out.labels)
    if classes != 2:
        return LabelUse(found)

    def share(sentences: Sequence[str]) -> float:
        return by_words.logits(bag(sentences)).argmax(1).double().mean().item()

    step = guide(latents, train)
    moved = guided_sentences(model, step, held_out.sentences[:GUIDED])
    shares = {f"guided_{shift:+d}": share(written) for shift, written in moved.items()}
    sizes = {"guided_class": corpus.classes[1], "guided_sentences": len(held_out.sentences[:GUIDED])}
    return LabelUse({**found, **sizes, **shares}, _as_text(held_out.sentences, moved))


def few_labels(
    size: int, latents: Sequence[Float[Tensor, "_ Z"]], train: Labeled, held_out: Labeled, classes: int
) -> dict[str, float]:
    """Mean accuracy of classifiers of latents and of bags of words, each learned from the same `size` labels, with the
    standard error over draws of the labels. Empty where there are too few sentences. `latents`: of training and
    validation sentences."""
    each = size // classes
    if not each or int(train.labels.bincount(minlength=classes).min()) < each:
        return {}
    accuracies: dict[str, list[float]] = {"latent": [], "words": []}
    for draw in range(DRAWS):
        rows = _balanced(train, each, classes, SEED + draw)
        labels = train.labels[rows]
        by_latent = LogisticRegression.fitted(latents[0][rows], labels, classes)
        accuracies["latent"].append(by_latent.accuracy(latents[1], held_out.labels))
        sentences = [train.sentences[row] for row in rows.tolist()]
        bag = BagOfWords(sentences)
        by_words = LogisticRegression.fitted(bag(sentences), labels, classes)
        accuracies["words"].append(by_words.accuracy(bag(held_out.sentences), held_out.labels))
    found = {}
    for kind, values in accuracies.items():
        drawn = torch.tensor(values, dtype=torch.float64)
        found[f"{kind}_accuracy_{size}"] = drawn.mean().item()
        found[f"{kind}_accuracy_{size}_standard_error"] = drawn.std().item() / math.sqrt(DRAWS)
    return found


def _balanced(train: Labeled, each: int, classes: int, seed: int) -> Tensor:
    """Numbers of random sentences, `each` of every class."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(train.labels), generator=generator)
    return torch.cat([order[train.labels[order] == label][:each] for label in range(classes)])


def guide(latents: Float[Tensor, "N Z"], train: Labeled) -> Float[Tensor, " Z"]:
    """One standard deviation of the training latents along the line from the mean of the first class to that of the
    second. Larsen et al. 2016 (1512.09300), section 4.1.1, for pictures with an attribute and without."""
    means = [latents[train.labels == label].mean(0) for label in range(2)]
    direction = means[1] - means[0]
    direction = direction / direction.norm().clamp(min=1e-12)
    return direction * (latents @ direction).std()


def guided_sentences(model: SentenceModel, step: Float[Tensor, " Z"], sentences: Sequence[str]) -> dict[int, list[str]]:
    """What the decoder writes for the sentences' latents moved by each of `SHIFTS` steps."""
    latents, step = model.encode(sentences), step.to(model.device, torch.float32)
    return {shift: model.decode(latents + shift * step) for shift in SHIFTS}


def _as_text(sentences: Sequence[str], moved: dict[int, list[str]]) -> str:
    parts = [
        "\n".join([sentence, *(f"{shift:+d} → {written[row]}" for shift, written in moved.items())])
        for row, sentence in enumerate(sentences[:SHOWN])
    ]
    return "\n\n".join(parts) + "\n"
