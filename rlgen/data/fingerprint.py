"""Which images a set holds, in a few words: whether two sets are the same without keeping either."""

import hashlib

from rlgen.data.images import ImageSet


def fingerprint(images: ImageSet) -> dict[str, str | int]:
    """Name, number and the sha256 of shape, pixels and labels; the same on every device."""
    digest = hashlib.sha256(str(list(images.images.shape)).encode())
    for tensor in (images.images, images.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return {"name": images.name, "n": len(images), "sha256": digest.hexdigest()}
