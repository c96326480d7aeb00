"""Labels with gaps as numbers of classes from 0 on."""

from collections.abc import Sequence

import numpy as np


def numbered(labels: np.ndarray, every: Sequence[np.ndarray]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Classes [N] of `labels` [N], and their names. `every`: labels of all splits, which have the same classes.

    Labels from 0 on without gaps are the classes, and there are no names. Otherwise the labels are numbered in their
    order, and are the names: with 0, 3 and 7, an image of label 7 is of class 2.
    """
    values = np.unique(np.concatenate(every))
    if np.array_equal(values, np.arange(len(values))):
        return labels, ()
    return np.searchsorted(values, labels), tuple(str(value) for value in values)
