"""Precision, recall, density and coverage on points whose balls can be drawn by hand, and against scikit-learn."""

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators.metrics import scores
from rlgen.generators.metrics.scores import density_coverage, neighbor_distance, precision_recall


def line(*places: float) -> Tensor:
    return torch.tensor(places, dtype=torch.float64)[:, None]


def points(seed: int, count: int = 40, shift: float = 0.0) -> Tensor:
    return torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "PIECE", 7)


def test_balls_on_a_line() -> None:
    real, fake = line(0, 1, 3), line(0.5, 4.5, 5.5, 9)
    # k = 1: real balls [-1, 1], [0, 2], [1, 5]; generated ones [-3.5, 4.5], [3.5, 5.5], [4.5, 6.5], [5.5, 12.5].
    found = precision_recall(real, fake, k=1)
    assert (float(found.precision), float(found.recall)) == (0.5, 1.0)
    # 0.5 lies in two real balls, 4.5 in one: 3 of 4 points; all three real balls hold one.
    other = density_coverage(real, fake, k=1)
    assert (float(other.density), float(other.coverage)) == (0.75, 1.0)
    # k = 2: real balls reach 3, 2, 3: [-3, 3], [-1, 3], [0, 6]; 0.5 lies in three, 4.5 and 5.5 in one.
    assert float(density_coverage(real, fake, k=2).density) == (3 + 1 + 1) / 4 / 2


def test_a_generator_of_the_real_images_has_all_of_both() -> None:
    real = points(0).float()
    found = precision_recall(real, real.clone())
    assert (float(found.precision), float(found.recall)) == (1.0, 1.0)
    assert float(density_coverage(real, real.clone()).coverage) == 1.0


def test_a_generator_of_one_image_is_precise_and_recalls_little() -> None:
    real = points(0)
    fake = real[:1] + 1e-6 * points(1)
    found = precision_recall(real, fake)
    assert float(found.precision) == 1.0
    assert float(found.recall) <= 1 / 40
    assert float(density_coverage(real, fake).coverage) < 0.5


def test_a_generator_far_away_has_none() -> None:
    found = precision_recall(points(0), points(1, shift=100))
    assert (float(found.precision), float(found.recall)) == (0.0, 0.0)
    other = density_coverage(points(0), points(1, shift=100))
    assert (float(other.density), float(other.coverage)) == (0.0, 0.0)


def test_equal_points_have_balls_of_no_size_that_hold_them() -> None:
    # By |a|² + |b|² - 2 a·b their distance would be rounding, and the comparison a coin.
    same = torch.full((9, 64), 1e3 / 3)
    assert float(neighbor_distance(same, 3).abs().max()) == 0
    assert float(precision_recall(same, same.clone()).precision) == 1.0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbors_are_those_of_scikit_learn(k: int) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    real, fake = points(0), points(1, 33, 0.3)
    # Without an argument kneighbors leaves the point itself out.
    trees = {name: neighbors.NearestNeighbors(n_neighbors=k).fit(rows) for name, rows in (("r", real), ("f", fake))}
    radii = {name: torch.from_numpy(tree.kneighbors()[0][:, -1]) for name, tree in trees.items()}
    torch.testing.assert_close(neighbor_distance(real, k), radii["r"])
    distance = (fake[:, None] - real[None]).norm(dim=-1)
    inside_real, inside_fake = distance <= radii["r"], radii["f"] >= distance.T
    found = precision_recall(real, fake, k)
    assert float(found.precision) == pytest.approx(float(inside_real.any(1).double().mean()))
    assert float(found.recall) == pytest.approx(float(inside_fake.any(1).double().mean()))
    other = density_coverage(real, fake, k)
    assert float(other.density) == pytest.approx(float(inside_real.double().sum()) / (k * 33))
    assert float(other.coverage) == pytest.approx(float(inside_real.any(0).double().mean()))


def test_fewer_points_than_neighbors_are_refused() -> None:
    with pytest.raises(InputError, match=r"3\. neighbor"):
        precision_recall(points(0), points(1, 3))
