"""R² of linear predictions against closed forms and scikit-learn's."""

import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from rlgen.errors import InputError
from rlgen.generators.metrics.disentanglement import linear_r2


def test_a_linear_function_is_predicted_perfectly_and_noise_not_at_all() -> None:
    torch.manual_seed(0)
    inputs, test = torch.randn(500, 3), torch.randn(400, 3)
    weights = torch.randn(3, 2)
    assert linear_r2(inputs, inputs @ weights + 7, test, test @ weights + 7) == pytest.approx(1)
    assert abs(linear_r2(inputs, torch.randn(500, 2), test, torch.randn(400, 2))) < 0.05


@pytest.mark.parametrize("inputs", [1, 4])
def test_it_is_that_of_scikit_learn(inputs: int) -> None:
    torch.manual_seed(1)
    x, test_x = torch.randn(60, inputs).double(), torch.randn(50, inputs).double()
    y, test_y = (each[:, :1] ** 3 + torch.randn(len(each), 1) for each in (x, test_x))
    fitted = LinearRegression().fit(x.numpy(), y.numpy())
    assert linear_r2(x, y, test_x, test_y) == pytest.approx(r2_score(test_y.numpy(), fitted.predict(test_x.numpy())))


def test_it_is_the_share_of_variance_that_noise_leaves() -> None:
    torch.manual_seed(2)
    inputs, test = torch.randn(20_000, 1), torch.randn(20_000, 1)
    y, test_y = (each + 0.5 * torch.randn_like(each) for each in (inputs, test))
    assert linear_r2(inputs, y, test, test_y) == pytest.approx(1 / 1.25, abs=0.02)


def test_an_input_that_never_varies_predicts_the_mean() -> None:
    torch.manual_seed(3)
    y, test_y = torch.randn(500, 1), torch.randn(500, 1)
    assert linear_r2(torch.zeros(500, 1), y, torch.zeros(500, 1), test_y) == pytest.approx(0, abs=0.02)


def test_fewer_rows_than_numbers_are_refused() -> None:
    with pytest.raises(InputError):
        linear_r2(torch.zeros(3, 3), torch.zeros(3, 1), torch.zeros(9, 3), torch.zeros(9, 1))
