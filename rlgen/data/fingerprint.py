"""A fingerprint of an image set, which shows whether two sets are the same without storing either."""

import hashlib

from rlgen.data.images import ImageSet


def fingerprint(images: ImageSet) -> dict[str, str | int]:
    """Name, number of images, and the sha256 of shape, pixels and labels; the same on every device."""
    digest = hashlib.sha256(str(list(images.images.shape)).encode())
    for tensor in (images.images, images.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return {"name": images.name, "n": len(images), "sha256": digest.hexdigest()}
