"""Sheets composed on the device the predictions are on, one copy to the host for each: the fast way to a video.

The values are those of :mod:`multiface.show.panels` to the last bit; only where they are computed differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from multiface.show.colormap import colour_map
from multiface.show.panels import NOT_COUNTED, PanelRow

# BT.709, limited range: what players assume of H.264. Rows: Y', Cb, Cr for R'G'B' of 0..255 (Rec. ITU-R BT.709-6, section 3).
_RED, _BLUE = 0.2126, 0.0722
_LUMA = np.array([_RED, 1 - _RED - _BLUE, _BLUE])
_TO_PLANES = np.stack(
    [
        219 / 255 * _LUMA,
        224 / 255 * (np.array([0, 0, 1]) - _LUMA) / (2 * (1 - _BLUE)),
        224 / 255 * (np.array([1, 0, 0]) - _LUMA) / (2 * (1 - _RED)),
    ]
)


class DeviceRow:
    """A :class:`PanelRow` whose sheets are put together on a device.

    Args:
        row: What stays the same.
        device: Where the pictures are. On a GPU the sheets also become video planes there, half as much to copy.
    """

    def __init__(self, row: PanelRow, device: torch.device) -> None:
        self._row = row
        self._template = torch.from_numpy(row.template.copy()).to(device)
        self.planar = device.type != "cpu"

    def sheet(self, pictures: Sequence[torch.Tensor], heading: str = "") -> np.ndarray:
        """One sheet for :meth:`VideoWriter.add`: uint8 (h, w, 3), or its planes when ``planar``.

        Args:
            pictures: uint8 (H, W, 3) in display colours on the device, one per panel.
            heading: Text of the top line.
        """
        sheet = self._template.clone()
        height, width = self._row.picture_size
        for (row, column), picture in zip(self._row.corners, pictures, strict=True):
            sheet[row : row + height, column : column + width] = picture
        corner = self._row.heading_corner
        if heading and corner is not None:
            strip = torch.from_numpy(self._row.heading_strip(heading)).to(sheet.device)
            row, column = corner
            sheet[row : row + strip.shape[0], column : column + strip.shape[1]] = strip
        return (to_planes(sheet) if self.planar else sheet).cpu().numpy()


def to_planes(sheet: torch.Tensor) -> torch.Tensor:
    """(3 H / 2, W) uint8 planes Y, U, V of a uint8 (H, W, 3) picture with even sides, as FFmpeg's ``yuv420p`` has them.

    BT.709, limited range; a chroma sample is the mean of its four pixels.
    """
    height, width = sheet.shape[:2]
    matrix = torch.tensor(_TO_PLANES, dtype=torch.float32, device=sheet.device)
    colours = sheet.permute(2, 0, 1).float()
    luma = torch.einsum("c,chw->hw", matrix[0], colours) + 16.5
    chroma = torch.einsum("kc,chw->khw", matrix[1:], torch.nn.functional.avg_pool2d(colours, 2)) + 128.5
    planes = [luma.to(torch.uint8), chroma.to(torch.uint8).reshape(height // 2, width)]
    return torch.cat(planes)


def picture_bytes(image: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) linear of (B, 3, H, W) pictures in 0..1; values outside are clamped, NaN becomes 0."""
    values = (torch.nan_to_num(image.detach()).clamp(0, 1) * 255.0).round().to(torch.uint8)
    return values.permute(0, 2, 3, 1).contiguous()


class DifferenceColours:
    """Colours of ``|prediction - truth|``, the mean over the channels of linear bytes, on a fixed scale.

    Args:
        scale: Difference (of 255) that gets the brightest colour.
        device: Where the pictures are.
    """

    def __init__(self, scale: float, device: torch.device) -> None:
        # The sum over three channels of bytes has 766 values: each one's colour is known beforehand.
        self._table = torch.from_numpy(colour_map(np.arange(3 * 255 + 1, dtype=np.float32) / 3, scale)).to(device)
        self._outside = torch.tensor(NOT_COUNTED, dtype=torch.uint8, device=device)

    def __call__(self, prediction: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """uint8 (..., H, W, 3) of two uint8 pictures (..., H, W, 3); neutral where ``mask`` (..., H, W) is false."""
        total = (prediction.to(torch.int16) - truth.to(torch.int16)).abs().sum(-1, dtype=torch.int32)
        return torch.where(mask[..., None], self._table[total], self._outside)
