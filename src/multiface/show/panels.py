"""Pictures side by side: ground truth | prediction | difference, textures, and contact sheets.

Everything returned is uint8 (H, W, 3), ready for a screen. Photos, renders and textures are given in linear camera units
(0..255) and get display colours here; the difference is measured in linear units before that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiface.core.errors import ArgumentError
from multiface.show.colormap import DIFFERENCE_SCALE, colour_map, legend_strip, mean_difference
from multiface.show.display import to_display
from multiface.show.text import INK, MUTED, PAPER, text_strip

NOT_COUNTED = (38, 42, 50)
"""Where a difference is not measured or a texel was never seen: neutral, so that it is not read as "no error"."""

TITLES = ("ground truth", "prediction", "difference")
TEXTURE_TITLES = ("captured texture", "predicted texture", "difference")


@dataclass(frozen=True)
class Legend:
    """What the colours of a difference mean: ``label`` and the value at the right end, in ``unit``."""

    label: str = "mean absolute difference"
    scale: float = DIFFERENCE_SCALE
    unit: str = "of 255, linear"


class PanelRow:
    """A row of equally large pictures on a dark sheet: heading, a title over each picture, legend.

    Everything that stays the same is drawn once, so composing the frames of a video costs little more than copying.

    Args:
        size: (height, width) of each picture, pixels.
        titles: One per picture.
        legend: Legend under the last picture; None for none.
        heading: Whether to keep a line for a heading on top.
    """

    def __init__(
        self, size: tuple[int, int], titles: Sequence[str], *, legend: Legend | None = None, heading: bool = True
    ) -> None:
        height, width = size
        if height < 1 or width < 1 or not titles:
            raise ArgumentError("a row of panels needs at least one picture of at least one pixel", found=(size, titles))
        self.picture_size = (int(height), int(width))
        # Three photos of 2048 x 1334 have to stay within 4096 x 2304, which is what players decode in hardware.
        self._gap = max(2, width // 80)
        self._line = max(14, width // 20)
        self._top = self._gap + (self._line if heading else 0)
        self._heading = heading
        bottom = self._line + self._gap if legend else self._gap
        total = (self._top + self._line + height + bottom, len(titles) * (width + self._gap) + self._gap)
        self.size = (total[0] + total[0] % 2, total[1] + total[1] % 2)
        self._columns = [self._gap + index * (width + self._gap) for index in range(len(titles))]
        self._template = self._draw_template(titles, legend)

    def compose(self, pictures: Sequence[np.ndarray], heading: str = "") -> np.ndarray:
        """The sheet with ``pictures``, each uint8 (height, width, 3) in display colours: uint8 of ``self.size``."""
        if len(pictures) != len(self._columns):
            raise ArgumentError("wrong number of pictures for a row", expected=len(self._columns), found=len(pictures))
        sheet = self._template.copy()
        row, (height, width) = self._top + self._line, self.picture_size
        for left, picture in zip(self._columns, pictures):
            if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
                raise ArgumentError(
                    "a picture does not fit its panel",
                    expected=f"uint8 {(height, width, 3)}",
                    found=f"{picture.dtype} {picture.shape}",
                )
            sheet[row : row + height, left : left + width] = picture
        if heading and self._heading:
            _place(sheet, self.heading_strip(heading), self._gap, self._gap)
        return sheet

    @property
    def template(self) -> np.ndarray:
        """The sheet without pictures and heading, uint8 of ``size``; not to be changed."""
        return self._template

    @property
    def corners(self) -> list[tuple[int, int]]:
        """(row, column) of the upper left corner of each picture."""
        return [(self._top + self._line, column) for column in self._columns]

    @property
    def heading_corner(self) -> tuple[int, int] | None:
        """(row, column) of the upper left corner of the heading; None without a line for it."""
        return (self._gap, self._gap) if self._heading else None

    def heading_strip(self, heading: str) -> np.ndarray:
        """The heading as it is placed on the sheet."""
        return text_strip(heading, self.size[1] - 2 * self._gap, self._line)

    def _draw_template(self, titles: Sequence[str], legend: Legend | None) -> np.ndarray:
        sheet = np.empty((*self.size, 3), np.uint8)
        sheet[:] = PAPER
        height, width = self.picture_size
        for left, title in zip(self._columns, titles):
            _place(sheet, text_strip(title, width, self._line, MUTED, fill=0.56), self._top, left)
        if legend:
            bottom = self._top + self._line + height
            _place(sheet, legend_line(legend, width, self._line), bottom, self._columns[-1])
            room = self._columns[-1] - self._gap - self._line
            if room >= 12 * self._line:
                note = text_strip(legend.label, room, self._line, MUTED, align="right", fill=0.52)
                _place(sheet, note, bottom, self._gap)
        return sheet


class Comparison:
    """Ground truth | prediction | difference for pictures of one size, for stills and for the frames of a video.

    Args:
        size: (height, width) of the pictures, pixels.
        titles: Over the three pictures.
        scale: Difference (linear camera units, of 255) that gets the brightest colour; fixed, so pictures compare.
        heading: Whether to keep a line for a heading on top.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        titles: tuple[str, str, str] = TITLES,
        scale: float = DIFFERENCE_SCALE,
        heading: bool = True,
    ) -> None:
        self.scale = scale
        self.row = PanelRow(size, titles, legend=Legend(scale=scale), heading=heading)
        self.size = self.row.size

    def frame(
        self,
        truth: np.ndarray,
        prediction: np.ndarray,
        *,
        mask: np.ndarray | None = None,
        heading: str = "",
        blank_unseen: bool = False,
    ) -> np.ndarray:
        """One sheet.

        Args:
            truth: (H, W, 3) linear camera units, 0..255, bytes or float.
            prediction: likewise.
            mask: (H, W), where the difference counts (true or above 0); None everywhere.
            heading: Text of the top line.
            blank_unseen: Also grey out the ground truth where ``mask`` is 0 (textures: texels no camera saw).

        Returns:
            uint8 array of ``self.size``.
        """
        difference = colour_map(mean_difference(prediction, truth, mask), self.scale)
        left = to_display(truth)
        if mask is not None:
            outside = ~(np.asarray(mask) > 0)
            difference[outside] = NOT_COUNTED
            if blank_unseen:
                left[outside] = NOT_COUNTED
        return self.row.compose([left, to_display(prediction), difference], heading)


def comparison_panel(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    heading: str = "",
    titles: tuple[str, str, str] = TITLES,
    scale: float = DIFFERENCE_SCALE,
) -> np.ndarray:
    """One ground truth | prediction | difference picture; arguments as in :class:`Comparison`."""
    layout = Comparison(np.asarray(truth).shape[:2], titles=titles, scale=scale, heading=bool(heading))
    return layout.frame(truth, prediction, mask=mask, heading=heading)


def texture_panel(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    heading: str = "",
    scale: float = DIFFERENCE_SCALE,
) -> np.ndarray:
    """Captured | predicted | difference of two textures, upright (rows as in the file), linear units 0..255.

    ``mask`` (T, T) tells which texels the camera saw; the others are grey, never filled with the mean colour.
    """
    layout = Comparison(np.asarray(truth).shape[:2], titles=TEXTURE_TITLES, scale=scale, heading=bool(heading))
    return layout.frame(truth, prediction, mask=mask, heading=heading, blank_unseen=True)


def contact_sheet(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    columns: int | None = None,
    cell_width: int = 320,
    heading: str = "",
) -> np.ndarray:
    """A grid of pictures with a title under each.

    Args:
        pictures: uint8 (h, w, 3) in display colours; sizes may differ, each is fitted into its cell.
        titles: One per picture.
        columns: Pictures per row, at most; by default as square a grid as possible.
        cell_width: Width of a cell, pixels; its height follows the tallest picture.
        heading: Text on top; empty for none.
    """
    if not pictures or len(pictures) != len(titles):
        raise ArgumentError("a contact sheet needs pictures with one title each", found=(len(pictures), len(titles)))
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    fitted = [fit_width(picture, cell_width, enlarge=True) for picture in pictures]
    cell_height = max(picture.shape[0] for picture in fitted)
    gap, line = max(2, cell_width // 40), max(14, cell_width // 14)
    top = gap + (2 * line if heading else 0)
    rows = math.ceil(len(pictures) / columns)
    sheet = np.empty((top + rows * (cell_height + line + gap), gap + columns * (cell_width + gap), 3), np.uint8)
    sheet[:] = PAPER
    if heading:
        _place(sheet, text_strip(heading, sheet.shape[1] - 2 * gap, 2 * line, INK, fill=0.5), gap, gap)
    for index, (picture, title) in enumerate(zip(fitted, titles)):
        row, column = divmod(index, columns)
        y, x = top + row * (cell_height + line + gap), gap + column * (cell_width + gap)
        _place(sheet, picture, y + (cell_height - picture.shape[0]) // 2, x)
        _place(sheet, text_strip(title, cell_width, line, MUTED), y + cell_height, x)
    return sheet


def fit_width(picture: np.ndarray, width: int, *, enlarge: bool = False) -> np.ndarray:
    """``picture`` (uint8, (h, w, 3)) scaled to ``width`` pixels by area averaging; smaller ones stay unless ``enlarge``."""
    import cv2

    height, old = picture.shape[:2]
    if old == width or (old < width and not enlarge):
        return picture
    size = (width, max(1, round(height * width / old)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if width < old else cv2.INTER_CUBIC)


def legend_line(legend: Legend, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: 0, the colour map, and the value at its end with the unit."""
    line = np.empty((height, width, 3), np.uint8)
    line[:] = PAPER
    value = f"{legend.scale:g}+ {legend.unit}" if width >= 14 * height else f"{legend.scale:g}+"
    left_width, right_width = max(8, height // 2), max(2 * height, round(0.29 * height * len(value)))
    bar_width = width - left_width - right_width - height // 3
    if bar_width < 8:  # a thumbnail: no room for numbers
        left_width, bar_width = 0, width
    else:
        _place(line, text_strip("0", left_width, height, MUTED, fill=0.52), 0, 0)
        _place(line, text_strip(value, right_width, height, MUTED, align="right", fill=0.52), 0, width - right_width)
    bar = legend_strip(bar_width, max(3, round(height * 0.34)))
    _place(line, bar, (height - bar.shape[0]) // 2, left_width)
    return line


def _place(sheet: np.ndarray, picture: np.ndarray, row: int, column: int) -> None:
    sheet[row : row + picture.shape[0], column : column + picture.shape[1]] = picture[
        : sheet.shape[0] - row, : sheet.shape[1] - column
    ]
