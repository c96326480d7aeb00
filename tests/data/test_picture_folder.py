"""A folder of one's own pictures is a data set."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from rlgen.data import ImageSet
from rlgen.errors import InputError
from rlgen.system import memory


def save(path: Path, brightness: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (brightness, 0, 0)).convert(mode).save(path)


def test_pictures_without_folders_are_one_class_and_the_last_fifth_is_for_testing(tmp_path: Path) -> None:
    for number in range(11):
        save(tmp_path / f"{number:02}.png", number)
    train, test = (ImageSet.load(tmp_path, split) for split in ("train", "test"))
    assert train.images.shape == (9, 3, 4, 6)
    assert train.images[:, 0, 0, 0].tolist() == list(range(9))
    assert test.images[:, 0, 0, 0].tolist() == [9, 10]
    assert (train.images[:, 1:] == 0).all()
    assert (train.n_classes, train.labels.tolist()) == (1, [0] * 9)


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path / "zebra" / f"{number}.png", 10 + number, "L")
        save(tmp_path / "ape" / f"{number}.JPG", number, "L")
    (tmp_path / "ape" / ".DS_Store").write_bytes(b"x")
    train, test = (ImageSet.load(tmp_path, split) for split in ("train", "test"))
    assert train.images.shape == (8, 1, 4, 6), "grey pictures have one channel"
    assert train.labels.tolist() == [0] * 4 + [1] * 4
    assert test.labels.tolist() == [0, 1]
    assert train.class_names == ("ape", "zebra")


def test_one_picture_in_color_makes_all_of_both_splits_color(tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / f"{number}.png", number, "L")
    save(tmp_path / "9.png", 9)
    assert [ImageSet.load(tmp_path, split).shape[0] for split in ("train", "test")] == [3, 3]


def test_folders_train_and_test_are_the_splits(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                save(tmp_path / split / name / f"{number}.png", number)
    assert (len(ImageSet.load(tmp_path, "train")), len(ImageSet.load(tmp_path, "test"))) == (6, 4)
    save(tmp_path / "test" / "c" / "0.png", 0)
    with pytest.raises(InputError, match="the same folders of classes in train and test; got a, b and a, b, c"):
        ImageSet.load(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda folder: save(folder / "z.png", 0, size=(7, 4)),
            r"one size; got 6 × 4 in .*0\.png and 7 × 4 in .*--image-size",
        ),
        (lambda folder: (folder / "z.png").write_text("no picture"), r"z\.png, cut or damaged"),
        (lambda folder: (folder / "z.txt").write_text("x"), r"only pictures .*; got .*z\.txt"),
        (lambda folder: Image.new("I;16", (6, 4)).save(folder / "z.png"), r"8 bits per channel; got mode I;16"),
        (lambda folder: save(folder / "class" / "z.png", 0), "in the folder of its class, or none"),
        (lambda folder: (folder / "class").mkdir(), "in the folder of its class, or none"),
        (lambda folder: Image.new("RGB", (6, 4)).save(folder / "z.png", "GIF"), r"z\.png, cut or damaged"),
        (lambda folder: (folder / "train").mkdir(), "folders train and test, or neither"),
    ],
    ids=["size", "damaged", "text", "16 bits", "beside a class", "empty class", "other format", "one split"],
)
def test_what_is_no_data_set_of_pictures_is_named(tmp_path: Path, change, said: str) -> None:
    for number in range(10):
        save(tmp_path / f"{number}.png", number)
    change(tmp_path)
    with pytest.raises(InputError, match=said):
        ImageSet.load(tmp_path, "train")


def test_too_few_pictures_and_a_folder_without_any_say_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected images in .*; put there pictures \(\.png, \.jpg\)"):
        ImageSet.load(tmp_path)
    for number in range(4):
        save(tmp_path / f"{number}.png", number)
    with pytest.raises(InputError, match="at least 5 pictures of a class"):
        ImageSet.load(tmp_path, "test")


def test_a_picture_of_few_bytes_and_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        save(tmp_path / f"{number}.png", number, "1", size=(800, 800))
    monkeypatch.setattr(memory, "UNPACKED", 2**20)
    with pytest.raises(InputError, match=r"on disk; got .* MiB for the pictures in"):
        ImageSet.load(tmp_path)


def test_pictures_of_any_size_are_cut_to_a_square_and_scaled(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"{number}.png", 10 * number, size=(6 + number, 4 + number % 3))
    found = ImageSet.load(tmp_path, "train", size=3)
    assert found.images.shape == (8, 3, 3, 3)
    assert found.images[:, 0, 1, 1].tolist() == [10 * number for number in range(8)]


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_photographs_are_upright_whatever_their_orientation(tmp_path: Path, ending: str) -> None:
    stored = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    (tmp_path / "across").mkdir()
    (tmp_path / "along").mkdir()
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        folder = tmp_path / ("along" if orientation > 4 else "across")
        stored.save(folder / f"{orientation}.{ending}", exif=exif)
    for name, shape in (("across", (1, 4, 6)), ("along", (1, 6, 4))):
        paths = sorted((tmp_path / name).iterdir())
        save(tmp_path / name / "9.png", 0, "L", size=shape[:0:-1])
        train = ImageSet.load(tmp_path / name)
        expected = [np.asarray(ImageOps.exif_transpose(Image.open(path))) for path in paths]
        assert train.shape == shape
        assert np.array_equal(train.images[:, 0].numpy(), expected)


@pytest.mark.parametrize(
    ("mode", "color", "half"), [("RGBA", (0, 40, 0, 0), (0, 0, 0, 128)), ("LA", (40, 0), (0, 128)), ("P", 0, 1)]
)
def test_what_is_transparent_is_white(tmp_path: Path, mode: str, color, half) -> None:
    picture = Image.new(mode, (2, 1), color)
    picture.putpixel((1, 0), half)
    if mode == "P":
        picture.putpalette([0, 40, 0, 0, 0, 0])
        picture.info["transparency"] = bytes([0, 128])
    for number in range(5):
        picture.save(tmp_path / f"{number}.png")
    first = ImageSet.load(tmp_path).images[0]
    assert first.shape[0] == (1 if mode == "LA" else 3)
    assert (first[:, 0, 0] == 255).all(), "the hidden color is not shown"
    assert (first[:, 0, 1] == 127).all(), "half of black before white"


def test_grey_levels_that_stand_for_transparency_are_white(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("L", (2, 1), 7).save(tmp_path / f"{number}.png", transparency=7)
    assert (ImageSet.load(tmp_path).images == 255).all()
