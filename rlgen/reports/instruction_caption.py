"""Frames of a task with an instruction, with the instruction below, each word shaded by the attention that it gets from
the policy, and how each episode ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlgen.data.playing import Policy, Step
from rlgen.data.words import MISSION, WORDS, has_instructions
from rlgen.reports.panels import PRINT

if TYPE_CHECKING:
    from PIL import ImageFont

END_S = 1.0
"""Time for which the end of an episode is shown [s]."""
SHADE, SUCCESS, NO_SUCCESS = PRINT.colors[0], PRINT.colors[2], PRINT.colors[7]
STRONGEST = 0.6
"""Opacity of the shade of the word with the most attention in the video: text on it can still be read."""
LEAST_SHARE = 0.05
"""Share of the attention whose shade is the strongest where no word gets more, so that even attention stays pale."""
LETTERS, LARGEST = 18, 20
"""Width of a picture in font sizes, and the largest size [pixels]."""
LEAST_WIDTH = 240
"""Narrower pictures [pixels] are enlarged by an integer factor, so that the text fits."""


@dataclass(frozen=True)
class Caption:
    """The text below one frame."""

    words: tuple[str, ...]
    shares: np.ndarray | None
    """Share of the attention that goes to each word; None for words without shades."""
    status: str
    """Number of the step, or how the episode ended."""
    color: str = PRINT.soft
    """Color of the status."""


def frames_of_an_end(env: Any, fps: float) -> int:
    """Frames that show the end of each episode in a VecEnv; 0 for a task without instructions."""
    return max(1, round(END_S * fps)) if has_instructions(env.observation_space) else 0


def with_instructions(
    pictures: Sequence[np.ndarray],
    steps: Sequence[Step],
    policy: Policy,
    end_frames: int,
    vocabulary: Sequence[str] = WORDS,
) -> list[np.ndarray]:
    """The pictures [height, width, 3] before each of the steps of one environment, with captions of one height below,
    and after each episode `end_frames` frames of its end. A policy without attention to words has no shades.

    An episode succeeds if it has a reward, as in evaluations.
    """
    from rlgen.sb3.instructed import LAST_PICTURE
    from rlgen.sb3.instruction_extractor import word_attention

    seen = {name: np.concatenate([step.observations[name] for step in steps]) for name in steps[0].observations}
    attention, number, earned = word_attention(policy, seen), 0, 0.0
    frames: list[tuple[np.ndarray, Caption]] = []
    for index, (picture, step) in enumerate(zip(pictures, steps, strict=True)):
        places = np.flatnonzero(seen[MISSION][index])
        words = tuple(vocabulary[word] for word in seen[MISSION][index][places])
        shares = None if attention is None else attention[index][places]
        number, earned = number + 1, earned + float(step.rewards[0])
        frames.append((picture, Caption(words, shares, f"step {number}")))
        if step.dones[0]:
            last = even_sided(step.infos[0].get(LAST_PICTURE, picture))
            status, color = ("success", SUCCESS) if earned > 0 else ("no success", NO_SUCCESS)
            frames += [(last, Caption(words, None, f"{status} after {number} steps", color))] * end_frames
            number, earned = 0, 0.0
    return _drawn(frames)


def even_sided(picture: Any) -> np.ndarray:
    """A picture as uint8 [height, width, 3], both even, as encoders require."""
    pixels = np.asarray(picture, dtype=np.uint8)
    height, width = pixels.shape[:2]
    return pixels[: height - height % 2, : width - width % 2]


def _drawn(frames: Sequence[tuple[np.ndarray, Caption]]) -> list[np.ndarray]:
    """Each picture above its caption. Shades have one scale, and captions the height of the longest."""
    factor = -(-LEAST_WIDTH // frames[0][0].shape[1])
    width = factor * frames[0][0].shape[1]
    size = min(LARGEST, width // LETTERS)
    rows = 1 + max((row for _, caption in frames for _, row in _places(caption.words, width, size)), default=0)
    shares = [caption.shares.max(initial=0.0) for _, caption in frames if caption.shares is not None]
    most = max([LEAST_SHARE, *shares])
    return [
        np.concatenate([picture.repeat(factor, 0).repeat(factor, 1), _strip(caption, width, size, rows, most)])
        for picture, caption in frames
    ]


def _strip(caption: Caption, width: int, size: int, rows: int, most: float) -> np.ndarray:
    """A caption of `rows` rows of words and one of the status, uint8 [height, width, 3]."""
    from PIL import Image, ImageColor, ImageDraw

    assert PRINT.paper is not None
    row = round(1.6 * size)
    height = row * (rows + 1) + size
    strip = Image.new("RGB", (width, height + height % 2), PRINT.paper)
    pen, paper, shade = ImageDraw.Draw(strip), *(np.array(ImageColor.getrgb(each)) for each in (PRINT.paper, SHADE))
    shares = np.zeros(len(caption.words)) if caption.shares is None else caption.shares
    for word, share, (left, line) in zip(caption.words, shares, _places(caption.words, width, size), strict=True):
        top, right = size // 2 + line * row, left + _font(size).getlength(word)
        color = paper + (shade - paper) * STRONGEST * share / most
        pen.rectangle((left - 2, top, right + 1, top + row - 3), tuple(color.round().astype(int).tolist()))
        pen.text((left, top + row // 2 - 1), word, PRINT.ink, _font(size), anchor="lm")
    small, middle = _font(size - 3), size // 2 + rows * row + row // 2
    pen.text((size // 2, middle), caption.status, caption.color, small, anchor="lm")
    if caption.shares is not None:
        text = f"attention to words {caption.shares.sum():.0%}"
        pen.text((width - size // 2, middle), text, PRINT.soft, small, anchor="rm")
    return np.asarray(strip)


@cache
def _places(words: tuple[str, ...], width: int, size: int) -> list[tuple[float, int]]:
    """Left end [pixels] and row of each word."""
    places: list[tuple[float, int]] = []
    margin, row = size // 2, 0
    left = float(margin)
    for word in words:
        length = _font(size).getlength(word)
        if word == "," and places:
            left -= size / 3
        elif left + length > width - margin and left > margin:
            left, row = float(margin), row + 1
        places.append((left, row))
        left += length + size / 3
    return places


@cache
def _font(size: int) -> "ImageFont.FreeTypeFont":
    """The font of the curves, which matplotlib brings along."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
