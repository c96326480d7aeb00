"""Rotary positions against complex multiplication, rotation matrices, and the law that they are made for."""

import math

import torch

from rlgen.equations.rotary_positions import rotary_angles, rotated


def test_angles_are_the_position_times_falling_frequencies() -> None:
    found = rotary_angles(torch.tensor([0, 1, 3]), 4)
    torch.testing.assert_close(found, torch.tensor([[0, 0], [1, 0.01], [3, 0.03]]))


def test_a_rotation_is_a_multiplication_by_a_complex_number() -> None:
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angles = rotary_angles(torch.arange(5), 8).double()
    product = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotated(x, angles), torch.cat([product.real, product.imag], -1))


def test_a_pair_is_rotated_by_its_matrix() -> None:
    angle = math.pi / 6
    found = rotated(torch.tensor([[1.0, 2.0]]), torch.tensor([[angle]]))
    matrix = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    torch.testing.assert_close(found[0], matrix @ torch.tensor([1.0, 2.0]))


def test_products_depend_on_the_difference_of_positions_alone() -> None:
    query, key = torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    products = []
    for first in (0, 7, 100):
        angles = rotary_angles(torch.tensor([first, first + 5]), 16).double()
        products.append((rotated(query, angles[:1]) * rotated(key, angles[1:])).sum())
    torch.testing.assert_close(torch.stack(products[1:]), products[0].expand(2), atol=1e-4, rtol=1e-4)
