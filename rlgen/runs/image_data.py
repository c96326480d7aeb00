"""data.json: a record of a run's training images, so that it is not resumed with others."""

import logging

from rlgen.data.fingerprint import fingerprint
from rlgen.data.images import ImageSet
from rlgen.errors import problem
from rlgen.runs.config import REMEDY
from rlgen.runs.folder import RunFolder
from rlgen.runs.json_file import read_object, write_json

log = logging.getLogger("rlgen")
DATA = "data.json"


def note_images(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Write FOLDER/data.json."""
    write_json(folder / DATA, {"train": fingerprint(train), "test": fingerprint(test)})


def require_noted_images(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Raise `InputError` unless these are the images that the run recorded; log a warning if it recorded none."""
    if not (folder / DATA).is_file():
        log.warning("%s has no record of its images, so they are not compared", folder.path)
        return
    noted = read_object(folder / DATA)
    for split, images in (("train", train), ("test", test)):
        now, then = fingerprint(images), noted.get(split)
        if not isinstance(then, dict) or not {"n", "name", "sha256"} <= then.keys():
            raise problem(f"the number, name and sha256 of {split} images in {folder / DATA}", repr(then)[:80], REMEDY)
        if now["sha256"] != then["sha256"]:
            got = f"{now['n']} of {now['name']} with the sha256 {str(now['sha256'])[:12]}"
            was = f"{then['n']} of {then['name']} with the sha256 {str(then['sha256'])[:12]}"
            raise problem(
                f"the {split} images of the run, {was}",
                got,
                f"put the same files at {folder.config.get('data')}, or train again in another folder",
            )
