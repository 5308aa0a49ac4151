"""Words in pictures, in the scalable typeface that comes with Pillow, so that they look the same on every machine."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Colour = tuple[int, int, int]

INK: Colour = (236, 239, 244)
MUTED: Colour = (150, 158, 172)
PAPER: Colour = (15, 17, 21)


def text_strip(
    text: str, width: int, height: int, ink: Colour = INK, paper: Colour = PAPER, align: str = "left", fill: float = 0.62
) -> np.ndarray:
    """One line of text on a (height, width, 3) uint8 strip.

    The type is ``fill`` of the height and gets smaller when the text would not fit the width; below 7 pixels the text is
    cut instead. ``align`` is ``"left"``, ``"center"`` or ``"right"``. Strips are not kept: the headings of a video all differ.
    """
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (max(width, 1), max(height, 1)), paper)
    text, font = _fitting(text, width, max(height * fill, 7.0))
    anchor, x = {"left": ("lm", 0), "center": ("mm", width / 2), "right": ("rm", width)}[align]
    ImageDraw.Draw(strip).text((x, height / 2), text, fill=ink, font=font, anchor=anchor)
    return np.array(strip, dtype=np.uint8)


def counted(number: int, what: str) -> str:
    """``1 camera``, ``2 cameras``."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def _fitting(text: str, width: int, size: float):
    font = _font(round(size))
    length = font.getlength(text)
    if length > width:
        font = _font(max(7, int(size * width / length)))
    while text and font.getlength(text) > width:
        text = text[:-4] + "..." if len(text) > 4 else ""
    return text, font


@lru_cache(maxsize=64)
def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)
