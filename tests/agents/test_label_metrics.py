"""Classes of sentences are predicted from latents, and sentences are moved along the line of class means."""

import json
import zipfile
from pathlib import Path
from typing import cast

import pytest
import torch

from rlgen.agents import cli
from rlgen.agents.label_metrics import SHIFTS, few_labels, guide, label_use
from rlgen.data import SentenceModel, Sentences
from rlgen.data.bag_of_words import BagOfWords
from rlgen.data.sentences import Labeled
from rlgen.errors import InputError
from rlgen.runs import Result

from .sentences import command

pytestmark = pytest.mark.usefixtures("no_curves")
CLASSES = {"neg.txt": ["bad", "dull", "sad"], "pos.txt": ["good", "fun", "fine"]}


def sentences(words: list[str]) -> str:
    return "\n".join(f"{word} {number}" for word in words for number in range(20))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, words in CLASSES.items():
            archive.writestr(f"reviews/{name}", sentences(words))
    return path


def test_the_files_are_the_classes_and_a_sentence_of_two_files_has_none(tmp_path: Path) -> None:
    for name, words in CLASSES.items():
        (tmp_path / name).write_text(f"{sentences(words)}\nin both")
    found = Sentences.load(tmp_path)
    assert found.classes == ("neg", "pos")
    assert "in both" in (*found.train, *found.validation)
    both = [found.labeled("train"), found.labeled("validation")]
    assert sum(len(each.sentences) for each in both) == 120
    for each in both:
        words = [sentence.split()[0] for sentence in each.sentences]
        assert [word in CLASSES["pos.txt"] for word in words] == each.labels.bool().tolist()


def test_files_of_one_name_in_several_folders_are_classes_by_their_folders(tmp_path: Path) -> None:
    for name, words in CLASSES.items():
        (tmp_path / name[:3]).mkdir()
        (tmp_path / name[:3] / "all.txt").write_text(sentences(words))
    assert Sentences.load(tmp_path).classes == ("neg/all", "pos/all")


def test_a_bag_has_each_known_word_once() -> None:
    bag = BagOfWords(["a cat", "A dog"])
    assert bag.columns == {"a": 0, "cat": 1, "dog": 2}
    assert bag(["dog dog a bird", ""]).to_dense().tolist() == [[1, 0, 1], [0, 0, 0]]


def test_latents_that_tell_classes_apart_classify_and_others_do_not() -> None:
    torch.manual_seed(0)
    labels = torch.arange(400) % 2
    train = Labeled(tuple(f"word {each}" for each in range(400)), labels)
    clear = labels[:, None] + 0.1 * torch.randn(400, 3)
    noise = torch.randn(400, 3)
    for latents, low, high in ((clear, 0.98, 1.0), (noise, 0.4, 0.6)):
        found = few_labels(10, [latents.double()] * 2, train, train, 2)
        assert low <= found["latent_accuracy_10"] <= high
        assert found["latent_accuracy_10_standard_error"] < 0.03
    assert few_labels(1_000, [clear] * 2, train, train, 2) == {}


def test_a_guide_leads_from_the_first_class_to_the_second_by_one_standard_deviation() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    latents = torch.tensor([[0.0, 1.0], [0.0, -1.0], [4.0, 1.0], [4.0, -1.0]])
    step = guide(latents, Labeled(("",) * 4, labels))
    torch.testing.assert_close(step, torch.tensor([latents[:, 0].std(), 0.0]))


class Known:
    """A model whose latents are known: the first one is the class of the sentence, the second its number."""

    device = torch.device("cpu")

    def encode(self, sentences: list[str]) -> torch.Tensor:
        return torch.tensor(
            [[float(each.split()[0] in CLASSES["pos.txt"]), int(each.split()[1])] for each in sentences]
        )

    def decode(self, latents: torch.Tensor) -> list[str]:
        return ["fun" if latent > 0.5 else "dull" for latent in latents[:, 0]]


def test_a_model_with_known_latents_classifies_and_moves_sentences_between_classes(data: Path) -> None:
    use = label_use(cast(SentenceModel, Known()), Sentences.load(data))
    assert (use.metrics["n_classes"], use.metrics["guided_class"]) == (2, "pos")
    assert use.metrics["words_accuracy_all"] == use.metrics["latent_accuracy_all"] == 1
    assert use.metrics["latent_accuracy_10"] > use.metrics["words_accuracy_10"]  # five labels do not have all words
    shares = [use.metrics[f"guided_{shift:+d}"] for shift in SHIFTS]
    assert (shares[0], shares[-1]) == (0, 1)
    assert 0 < shares[2] < 1
    assert use.guided.count("+2 → fun") == use.guided.count("-2 → dull") == 8


def test_a_run_with_labels_has_their_metrics_and_guided_sentences(data: Path, tmp_path: Path) -> None:
    run, numbers = tmp_path / "run", tmp_path / "numbers.json"
    assert cli.main(command(data, run, "--labels")) == 0
    found = Result.read(run).metrics
    assert found["guided_class"] == "pos"
    assert 0 <= found["latent_accuracy_10"] <= 1
    assert "latent_accuracy_1000" not in found  # there are fewer sentences
    assert all(0 <= found[f"guided_{shift:+d}"] <= 1 for shift in SHIFTS)
    assert (run / "guided.txt").read_text().count("+2 →") == 8
    assert (run / "analogies.txt").read_text().count("→") == 3
    page = (run / "report.html").read_text()
    assert "along the line of class means" in page
    assert "3 analogies" in page
    assert cli.main(["evaluate", str(run), "--labels", "--out", str(numbers)]) == 0
    again = json.loads(numbers.read_text())
    assert again.pop("run") == str(run)
    assert again == found


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        (["--pattern", "neg.txt"], "two or more files of sentences, one for each class; got only neg in reviews"),
        (["--model", "lm", "--lm.context", "8"], "a model with latents (vae)"),
    ],
)
def test_labels_without_classes_or_latents_are_refused(
    more: list[str], refusal: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["train", "text", "--model", "vae", "--data", str(data), "--labels", *more]
    assert cli.main([*options, "--out", str(tmp_path / "run")]) == 2
    assert refusal in " ".join(capsys.readouterr().err.split())


def test_sentences_of_one_file_have_no_classes(data: Path) -> None:
    corpus = Sentences.load(data, "neg.txt")
    with pytest.raises(InputError, match="one for each class"):
        corpus.require_classes()
