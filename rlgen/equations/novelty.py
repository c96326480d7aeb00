"""Novelty measures for exploration bonuses: the error of predictions, or their disagreement."""

from jaxtyping import Float
from torch import Tensor

Outputs = Float[Tensor, "*batch Z"]
PerRow = Float[Tensor, "*batch"]


def prediction_error(predicted: Outputs, actual: Outputs) -> PerRow:
    """‖actual - predicted‖². Stadie, Levine & Abbeel 2015 (1507.00814), e(s, a) of a dynamics model."""
    return (actual - predicted).square().sum(-1)


def feature_error(predicted: Outputs, actual: Outputs) -> PerRow:
    """½ ‖φ̂(s') - φ(s')‖² between features. Pathak et al. 2017 (1705.05363), eq. 5; η times it is the bonus, eq. 6."""
    return prediction_error(predicted, actual) / 2


def distillation_error(predicted: Outputs, actual: Outputs) -> PerRow:
    """Squared error of a predictor against a fixed random network. Burda et al. 2018 (1810.12894), section 2.2.

    Differs from the paper: the mean over features instead of the sum, as in the released code, because the size of the
    bonus and of its gradient then does not depend on their number."""
    return (actual - predicted).square().mean(-1)


def disagreement(predictions: Float[Tensor, "E B Z"]) -> Float[Tensor, " B"]:
    """Variance of the predictions of E models around their mean. Pathak et al. 2019 (1906.04161), eq. 1.

    Differs from the paper: the mean over outputs instead of the sum, as in the released code, because the size of the
    bonus then does not depend on their number."""
    return (predictions - predictions.mean(0)).square().mean((0, 2))
