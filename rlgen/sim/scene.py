"""Pictures of planar mechanisms: strokes and discs in metres, drawn with Pillow."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SMOOTH = 3
"""Supersampling factor: pixels drawn per pixel of the result, along each side."""
PAPER, INK, GREY, LIGHT = "#fbfaf7", "#2b2d33", "#a9adb5", "#e7e5df"
BLUE, ORANGE, GREEN = "#2f6db5", "#d9822b", "#4c9a5b"


class Stroke(NamedTuple):
    """A line through points [K, 2], m."""

    points: Sequence[tuple[float, float]]
    width: float
    """Width, m."""
    color: str


class Disc(NamedTuple):
    """A filled circle."""

    center: tuple[float, float]
    """Center (x, y), m."""
    radius: float
    """Radius, m."""
    color: str


def paint(
    shapes: Sequence[Stroke | Disc], center: tuple[float, float], breadth: float, width: int, height: int
) -> np.ndarray:
    """A picture [height, width, 3] uint8 of the shapes, drawn in order. The picture shows `breadth` metres around
    `center`."""
    scale = SMOOTH * width / breadth
    picture = Image.new("RGB", (SMOOTH * width, SMOOTH * height), PAPER)
    pen = ImageDraw.Draw(picture)

    def pixel(point: tuple[float, float]) -> tuple[float, float]:
        x, y = float(point[0]) - center[0], float(point[1]) - center[1]
        return SMOOTH * width / 2 + x * scale, SMOOTH * height / 2 - y * scale

    def disc(at: tuple[float, float], radius: float, color: str) -> None:
        (x, y), r = pixel(at), radius * scale
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color)

    for shape in shapes:
        if isinstance(shape, Disc):
            disc(*shape)
        else:
            pen.line([pixel(point) for point in shape.points], shape.color, round(shape.width * scale), joint="curve")
            for end in (shape.points[0], shape.points[-1]):
                disc(end, shape.width / 2, shape.color)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
