"""Linear predictions of the factors with which images are made."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import problem


def linear_r2(
    inputs: Float[Tensor, "n I"],
    targets: Float[Tensor, "n J"],
    test_inputs: Float[Tensor, "m I"],
    test_targets: Float[Tensor, "m J"],
) -> float:
    """R² on the test rows of a linear regression, with intercept, that is fitted to the others. Wright 1921,
    Correlation and causation.

    1 - the squared error as a fraction of that of the test rows' mean: 1 is perfect, 0 as good as the mean. Errors of
    several targets are added up.
    """
    if len(inputs) <= inputs.shape[1] or len(test_targets) < 2:
        got = f"{len(inputs)} and {len(test_targets)} rows of {inputs.shape[1]} numbers"
        raise problem("more rows than numbers in each, and 2 test rows", got, "add images")
    rows, test_rows = (F.pad(each.double(), (0, 1), value=1.0) for each in (inputs, test_inputs))
    solution = torch.linalg.lstsq(rows.cpu(), targets.double().cpu(), driver="gelsd").solution
    error = (test_targets.cpu() - test_rows.cpu() @ solution).square().sum()
    total = (test_targets.double() - test_targets.double().mean(0)).square().sum().cpu()
    return float(1 - error / total)
