"""Trained classifiers as files: weights in safetensors, and a JSON card that describes them."""

import hashlib
import json
import logging
import platform
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlgen.errors import InputError, problem
from rlgen.generators.classifier import (
    Classifier,
    ClassifierConfig,
    ClassifierExtractor,
    LabeledImages,
    accuracy_of,
    train_classifier,
    weights_hash,
)
from rlgen.system.files import atomic_write
from rlgen.system.versions import package_versions

FORMAT = 1
log = logging.getLogger("rlgen")


def cache_folder() -> Path:
    """The default folder for classifiers: .cache/rlgen/extractors in the user's home."""
    return Path.home() / ".cache" / "rlgen" / "extractors"


def classifier_extractor(
    train: LabeledImages,
    test: LabeledImages,
    folder: Path | None = None,
    config: ClassifierConfig | None = None,
    seed: int = 0,
) -> ClassifierExtractor:
    """A classifier of the images `train`, loaded from `folder` (default: `cache_folder`) or trained.

    It is loaded if the folder has one for the same images, config and seed. Otherwise it is trained (minutes on a CPU
    for MNIST), measured on `test` and saved.

    Training is repeatable on one machine, but not bit for bit on another. To compare scores across machines, copy the
    files, which are small, and use `load_extractor`.

    Raises:
        InputError: damaged files in the folder, files that do not match their card, or unsuitable images.
    """
    folder, config = folder or cache_folder(), config or ClassifierConfig()
    source = {"train": _described(train), "config": asdict(config), "seed": seed, "format": FORMAT}
    key = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]
    card_path = folder / f"{re.sub(r'[^-.0-9A-Za-z]+', '-', train.name)}-{key}.json"
    if card_path.exists():
        log.info("images are measured with the classifier in %s", card_path)
        return _on_device_of(train, load_extractor(card_path))
    log.info("no classifier of %s yet: training one and saving it in %s", train.name, card_path)
    start = time.perf_counter()
    network = train_classifier(train, config, seed)
    card: dict[str, Any] = source | {
        "name": f"classifier of {train.name}",
        "shape": list(network.shape),
        "n_classes": network.n_classes,
        "test": _described(test),
        "test_accuracy": accuracy_of(network, test),
        "weights_sha256": weights_hash(network),
        "minutes": round((time.perf_counter() - start) / 60, 2),
        "device": str(train.images.device),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {name: version for name, version in package_versions().items() if name in ("rlgen", "torch")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    # The card is written last, so that its weights are complete wherever it exists.
    atomic_write(card_path.with_suffix(".safetensors"), save(network.state_dict()))
    atomic_write(card_path, json.dumps(card, indent=2) + "\n")
    log.info("%s: test accuracy %.2f %%, %s minutes", card["name"], 100 * card["test_accuracy"], card["minutes"])
    return ClassifierExtractor(network, card["name"])


def load_extractor(card_path: Path) -> ClassifierExtractor:
    """The classifier of a card, on the CPU. Its weights are in the same folder, under the same name with .safetensors.

    Raises:
        InputError: the card or the weights are missing or damaged, or the hash of the weights is not the card's.
    """
    card = _card(card_path)
    weights = card_path.with_suffix(".safetensors")
    try:
        config = ClassifierConfig(**(card["config"] | {"widths": tuple(card["config"]["widths"])}))
        channels, height, width = card["shape"]
        name, expected = str(card["name"]), str(card["weights_sha256"])
        with torch.random.fork_rng(devices=[]):  # building draws initial weights, which are replaced
            network = Classifier((channels, height, width), int(card["n_classes"]), config)
        network.load_state_dict(load(weights.read_bytes()))
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        got = f"{weights.name} that cannot be used ({type(error).__name__}: {error})"
        raise _unusable(card_path, got) from error
    if weights_hash(network) != expected:
        raise _unusable(card_path, f"{weights.name} with other weights than the card's weights_sha256")
    return ClassifierExtractor(network, name)


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        got = card.get("format", "none") if isinstance(card, dict) else "no object"
        raise _unusable(path, f"format {got}, and this version reads {FORMAT}")
    return card


def _unusable(card_path: Path, got: str) -> InputError:
    return problem(
        f"a classifier's card and weights at {card_path}", got, "copy both files again, or delete both to train again"
    )


def _described(images: LabeledImages) -> dict[str, Any]:
    digest = hashlib.sha256(str(list(images.images.shape)).encode())
    for tensor in (images.images, images.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return {
        "name": images.name,
        "split": images.split,
        "n": len(images.images),
        "n_classes": images.n_classes,
        "sha256": digest.hexdigest(),
    }


def _on_device_of(images: LabeledImages, extractor: ClassifierExtractor) -> ClassifierExtractor:
    extractor.network.to(images.images.device)
    return extractor
