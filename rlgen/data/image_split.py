"""The division of images that come without one into training and test images."""

import numpy as np


def last_fifth(labels: np.ndarray) -> np.ndarray:
    """Whether each image [N] is a test image: the last fifth of each class, in the order of the file, so that no random
    generator is involved."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        test[rows[len(rows) - len(rows) // 5 :]] = True
    return test
