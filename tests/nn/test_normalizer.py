"""The observation normalizer: its statistics, and that only `merge` moves them."""

import pytest
import torch

from rlgen.errors import InputError
from rlgen.nn import Normalizer

ROWS = torch.tensor([[1.0, 10.0], [3.0, 10.0], [5.0, 10.0], [7.0, 10.0]])


def test_a_fresh_normalizer_changes_nothing_within_its_clip() -> None:
    rows = torch.tensor([[-3.0, 0.5, 9.0]])
    torch.testing.assert_close(Normalizer(3)(rows), rows)


def test_rows_come_out_with_mean_zero_and_the_floor_beside_their_deviation() -> None:
    out = Normalizer.of(ROWS, floor=0.01)(ROWS)
    deviation = 5**0.5
    torch.testing.assert_close(out[:, 0], (ROWS[:, 0] - 4) / (1.01 * deviation))


def test_a_feature_that_never_varied_does_not_explode() -> None:
    out = Normalizer.of(ROWS, floor=0.01)(torch.tensor([[4.0, 10.05]]))
    assert out[0, 1] == pytest.approx(0.05 / (0.01 * 5**0.5), rel=1e-4), "in units of what the other feature varies by"


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e6])
def test_the_unit_of_the_data_makes_no_difference(unit: float) -> None:
    torch.manual_seed(0)
    rows = torch.cat([torch.randn(50, 3), torch.full((50, 1), 0.3)], dim=1)
    new = rows + 0.01
    torch.testing.assert_close(Normalizer.of(unit * rows)(unit * new), Normalizer.of(rows)(new), rtol=1e-3, atol=1e-3)


def test_constants_do_not_make_the_floor_however_many_there_are() -> None:
    rows = torch.cat([torch.randn(50, 3), torch.full((50, 7), 1e3 / 3)], dim=1)
    fitted = Normalizer.of(rows)
    assert fitted.std[-1] == pytest.approx(0.02 * float(fitted.var[:3].sqrt().median()), rel=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_never_enters_the_statistics(bad: float) -> None:
    fresh, fitted = Normalizer(2), Normalizer.of(ROWS)
    for normalizer in (fresh, fitted):
        before = {name: value.clone() for name, value in normalizer.state_dict().items()}
        normalizer.merge(torch.tensor([[1.0, bad], [2.0, 3.0]]))
        assert all(torch.equal(value, before[name]) for name, value in normalizer.state_dict().items())


def test_what_lies_far_out_is_clipped() -> None:
    assert Normalizer.of(ROWS, clip=2.0)(torch.tensor([[1e6, -1e6]])).tolist() == [[2, -2]]


def test_covered_rows_are_not_clipped_and_others_keep_their_unit() -> None:
    torch.manual_seed(0)
    rows = torch.cat([0.01 * torch.randn(1000, 2), torch.tensor([[5.0, 0.0]])])
    fitted = Normalizer.of(rows)
    before = fitted.std.clone()
    assert fitted(rows)[-1, 0] == 10, "a single large deviation lies beyond the clip"
    fitted.cover(rows)
    torch.testing.assert_close(fitted(rows), (rows - fitted.mean) / fitted.std)
    assert fitted(rows)[-1, 0] == pytest.approx(10, rel=1e-5)
    assert fitted.std[1] == before[1]
    fitted.cover(torch.full((1, 2), float("nan")))
    assert torch.isfinite(fitted.std).all()


def test_two_merges_are_one_of_both_parts() -> None:
    torch.manual_seed(0)
    rows = torch.randn(50, 3) * 4 + 2
    parts, whole = Normalizer.of(rows[:13]), Normalizer.of(rows)
    parts.merge(rows[13:])
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, msg=name)


def test_statistics_are_population_moments() -> None:
    normalizer = Normalizer.of(ROWS)
    torch.testing.assert_close(normalizer.mean, ROWS.mean(0))
    torch.testing.assert_close(normalizer.var, ROWS.double().var(0, unbiased=False))
    assert float(normalizer.count) == 4


def test_nothing_but_merge_moves_the_statistics() -> None:
    normalizer = Normalizer.of(ROWS)
    before = {name: value.clone() for name, value in normalizer.state_dict().items()}
    normalizer.train()
    normalizer(torch.full((8, 2), 100.0))
    assert all(torch.equal(value, before[name]) for name, value in normalizer.state_dict().items())
    normalizer.merge(torch.full((8, 2), 100.0))
    assert not torch.equal(normalizer.mean, before["mean"])


def test_leading_dimensions_are_free() -> None:
    normalizer = Normalizer.of(ROWS.reshape(2, 2, 2))
    torch.testing.assert_close(normalizer.mean, ROWS.mean(0))
    torch.testing.assert_close(normalizer(ROWS.reshape(2, 2, 2)).reshape(4, 2), normalizer(ROWS))


def test_the_state_dict_carries_everything() -> None:
    fitted, other = Normalizer.of(ROWS, clip=3.0), Normalizer(2)
    other.load_state_dict(fitted.state_dict())
    rows = torch.randn(5, 2) * 30
    assert torch.equal(other(rows), fitted(rows))


@pytest.mark.parametrize(("clip", "floor"), [(0.0, 0.01), (10.0, 0.0)])
def test_a_clip_or_floor_of_zero_is_refused(clip: float, floor: float) -> None:
    with pytest.raises(InputError, match="positive clip and floor"):
        Normalizer(2, clip, floor)


def test_many_rows_have_the_moments_that_numpy_says() -> None:
    rows = torch.randn(5000, 300) * torch.linspace(0.1, 30, 300) + torch.linspace(-1e3, 1e3, 300)
    fitted = Normalizer.of(rows)
    torch.testing.assert_close(fitted.mean, torch.from_numpy(rows.double().numpy().mean(0)).float())
    torch.testing.assert_close(fitted.var, torch.from_numpy(rows.double().numpy().var(0)), rtol=1e-5, atol=0)
    assert float(fitted.count) == 5000
