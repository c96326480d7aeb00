"""The agreement of an unsupervised discrete code with the classes of images."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rlgen.errors import problem


class CodeAccuracy(NamedTuple):
    accuracy: float
    """Share of the second half of the images whose code is matched to their class."""
    class_of_code: tuple[int | None, ...]
    """Class of each code; None for an unmatched code, if there are more codes than classes."""


def code_accuracy(
    codes: Int64[Tensor, " n"], labels: Int64[Tensor, " labels"], n_codes: int, n_classes: int, seed: int = 0
) -> CodeAccuracy:
    """Accuracy of the code as a classifier. Chen et al. 2016 (1606.03657), section 7.2: matching each code to a
    digit, about 5 % error on MNIST.

    Codes are matched one-to-one to classes, so that the most images of a random half are classified correctly. The
    accuracy is that of the other half, because the best of K! matchings must not be evaluated on the images that it was
    selected on.

    Args:
        codes: the most probable code of each real image, 0 to n_codes - 1.
        labels: their classes, 0 to n_classes - 1.
        n_codes, n_classes: numbers of codes and classes.
        seed: random seed of the split into halves.

    Raises:
        InputError: fewer than two images, a different number of labels, or values out of range.
    """
    if len(codes) < 2 or len(codes) != len(labels):
        raise problem("at least two images, each with code and class", f"{len(codes)} and {len(labels)}", "give both")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed)).to(codes.device)
    fit, held = order.tensor_split(2)
    class_of_code = _matching(_table(codes[fit], labels[fit], n_codes, n_classes))
    meaning = torch.tensor([-1 if each is None else each for each in class_of_code], device=codes.device)
    return CodeAccuracy(float((meaning[codes[held]] == labels[held]).double().mean()), class_of_code)


def _table(
    codes: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], n_codes: int, n_classes: int
) -> Float[Tensor, "codes classes"]:
    """Counts of images by code and class."""
    for name, values, most in (("codes", codes, n_codes), ("labels", labels, n_classes)):
        if int(values.min()) < 0 or int(values.max()) >= most:
            got = f"{int(values.min())} to {int(values.max())}"
            raise problem(f"{name} from 0 to {most - 1}", got, "check the numbers of codes and classes")
    return torch.bincount(codes * n_classes + labels, minlength=n_codes * n_classes).double().view(n_codes, n_classes)


def _matching(table: Float[Tensor, "codes classes"]) -> tuple[int | None, ...]:
    """The class of each code in the matching with the most images; codes or classes may stay unmatched."""
    codes, classes = linear_sum_assignment(table.cpu().numpy(), maximize=True)
    class_of = dict(zip(codes.tolist(), classes.tolist(), strict=True))
    return tuple(class_of.get(code) for code in range(len(table)))
