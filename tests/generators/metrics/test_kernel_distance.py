"""KID against the definition written out, and against moments of Gaussians."""

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators.metrics import scores
from rlgen.generators.metrics.scores import kernel_inception_distance


def test_it_is_the_definition_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "PIECE", 3)  # of 7 rows: more than one piece, the last smaller
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 4, dtype=torch.float64, generator=generator)
    y = torch.randn(5, 4, dtype=torch.float64, generator=generator) + 0.5

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return (float(a @ b) / 4 + 1) ** 3

    within_x = sum(kernel(x[i], x[j]) for i in range(7) for j in range(7) if i != j) / 42
    within_y = sum(kernel(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(kernel(a, b) for a in x for b in y) / 35
    found = kernel_inception_distance(x, y)
    assert float(found) == pytest.approx(within_x + within_y - 2 * across, rel=1e-12)


def test_it_is_unbiased() -> None:
    # One feature, x from N(0, 1), y from N(1, 1). E k(x, x') = Σ C(3, i) E[x^i]², with moments 1, 0, 1, 0 of x and
    # 1, 1, 2, 4 of y; MMD² = Σ C(3, i) (E[x^i] - E[y^i])² = 3·1 + 3·1 + 1·16.
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(2, 4000, 8, 1, dtype=torch.float64, generator=generator)
    found = torch.stack([kernel_inception_distance(x, y + 1) for x, y in zip(*draws, strict=True)])
    error = float(found.std()) / 4000**0.5
    assert error < 1.5, "else the next line says nothing"
    assert float(found.mean()) == pytest.approx(22, abs=4 * error)


def test_of_one_distribution_it_is_about_zero_and_falls_on_either_side() -> None:
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(2, 400, 16, 4, dtype=torch.float64, generator=generator)
    found = torch.stack([kernel_inception_distance(x, y) for x, y in zip(*draws, strict=True)])
    assert bool((found < 0).any())
    assert bool((found > 0).any())
    assert abs(float(found.mean())) < 4 * float(found.std()) / 20


def test_a_single_image_is_refused() -> None:
    with pytest.raises(InputError, match="1 real and 3 generated"):
        kernel_inception_distance(torch.zeros(1, 2), torch.zeros(3, 2))
