"""Whether a discrete code found the classes without having been told of them."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rlgen.errors import problem


class CodeAccuracy(NamedTuple):
    accuracy: float
    """Share of the second half whose code means their class."""
    class_of_code: tuple[int | None, ...]
    """Of each code; None where there are more codes than classes and this one was left over."""


def code_accuracy(
    codes: Int64[Tensor, " n"], labels: Int64[Tensor, " labels"], n_codes: int, n_classes: int, seed: int = 0
) -> CodeAccuracy:
    """Accuracy of the code as a classifier. Chen et al. 2016 (1606.03657), section 7.2: matching each code to a
    digit, about 5 % error on MNIST.

    Each code means one class and each class has at most one code, by the matching that gets the most images of a random
    half right; the accuracy is of the other half, so that the best of K! matchings is not chosen on what it is judged
    by.

    Args:
        codes: the likeliest code of each real image, 0 to n_codes - 1.
        labels: their classes, 0 to n_classes - 1.
        n_codes, n_classes: how many there are.
        seed: of the halves.
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
    """How often each code goes with each class."""
    for name, values, most in (("codes", codes, n_codes), ("labels", labels, n_classes)):
        if int(values.min()) < 0 or int(values.max()) >= most:
            came = f"{int(values.min())} to {int(values.max())}"
            raise problem(f"{name} from 0 to {most - 1}", came, "check the numbers of codes and classes")
    return torch.bincount(codes * n_classes + labels, minlength=n_codes * n_classes).double().view(n_codes, n_classes)


def _matching(table: Float[Tensor, "codes classes"]) -> tuple[int | None, ...]:
    """The class of each code with the most images on it; codes or classes may be left over."""
    codes, classes = linear_sum_assignment(table.cpu().numpy(), maximize=True)
    class_of = dict(zip(codes.tolist(), classes.tolist(), strict=True))
    return tuple(class_of.get(code) for code in range(len(table)))
