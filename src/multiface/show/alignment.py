"""Whether photo, mesh and calibration fit each other, in numbers.

The tracked mesh with the average texture is rendered through the calibration and compared with the photo. Corners of the
rendering are searched in the photo by pyramidal Lucas-Kanade tracking (J.-Y. Bouguet, "Pyramidal implementation of the Lucas
Kanade feature tracker", 2000), there and back again; how far they have moved is the reprojection error, in pixels and, by
depth and focal length, in millimetres on the face. A shift, a turn and a wrong focal length all show. An error that all cameras
share, and that the average texture was made with, does not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from multiface.evaluate.metrics import masked_psnr
from multiface.show.display import to_display
from multiface.show.overlay import MeshView

DARK = 20
"""A pixel whose largest channel is above this (linear, of 255) is foreground, where the background is dark."""

FEWEST_POINTS = 12

GOOD_MM, USABLE_MM = 1.0, 3.0
"""Reprojection error on the face up to which a calibration is called good, and usable."""

_CORNERS = 1500
_RETURN = 0.5  # pixels by which a point may miss itself on the way back
_WINDOW = 0.016  # side of the tracking window as a part of the picture's longer side


@dataclass(frozen=True)
class Alignment:
    """How well one camera fits.

    Attributes:
        psnr: dB inside the rendered mask, linear; NaN where the mask is empty.
        points: Points of the rendering that were found again in the photo.
        searched: Points that were looked for.
        error_px: Median distance between where a point is and where the calibration puts it, pixels; NaN with too few points.
        error_mm: The same on the face, mm.
        shift_px: Median shift (right, down) of all points, pixels.
        silhouette_iou: Overlap of the rendered mask with the photo's foreground (both divided by their union); None where the
            background is not dark enough to tell it from the person. Hair, clothes and supports count against it.
        compared: Whether there was an average texture to compare with.
    """

    psnr: float
    points: int
    searched: int
    error_px: float
    error_mm: float
    shift_px: tuple[float, float]
    silhouette_iou: float | None
    compared: bool = True

    @property
    def verdict(self) -> str:
        """In a word: good, usable, wrong (also when the face is not found where the calibration says), or unknown."""
        return verdict(self.error_mm) if np.isfinite(self.error_mm) or not self.compared else "wrong"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "verdict": self.verdict}


def verdict(error_mm: float) -> str:
    """What an error on the face means; unknown for NaN."""
    if not np.isfinite(error_mm):
        return "unknown"
    return "good" if error_mm <= GOOD_MM else "usable" if error_mm <= USABLE_MM else "wrong"


def measure_alignment(photo: np.ndarray, rendering: np.ndarray | None, view: MeshView) -> Alignment:
    """Compare a photo with the rendering of mesh and average texture.

    Args:
        photo: (H, W, 3) uint8 linear.
        rendering: likewise, 0 where nothing is; None without an average texture: then there is only the silhouette.
        view: The mesh as that camera should see it.
    """
    iou = silhouette_iou(photo, view.covered)
    nan = float("nan")
    if rendering is None:
        return Alignment(nan, 0, 0, nan, nan, (nan, nan), iou, compared=False)
    painted = view.covered & (rendering > 0).any(-1)
    psnr = masked_psnr(_planes(rendering), _planes(photo), torch.from_numpy(painted)[None]).item()
    points, moved, searched = track_points(rendering, photo, painted)
    if len(points) < FEWEST_POINTS:
        return Alignment(psnr, len(points), searched, nan, nan, (nan, nan), iou)
    shift = moved - points
    distance = np.linalg.norm(shift, axis=1)
    depth = view.depth[tuple(np.clip(points.astype(int), 0, np.array(painted.shape[::-1]) - 1).T[::-1])]
    focal = float(np.linalg.norm(view.projection[0, :3] - view.projection[2, :3] * _principal(view, 0)))
    right, down = np.median(shift, axis=0).tolist()
    return Alignment(
        psnr, len(points), searched, float(np.median(distance)), float(np.median(distance * depth / focal)), (right, down), iou
    )


def track_points(rendering: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Corners of ``rendering`` well inside ``mask``, where they are in ``photo``, and how many were looked for.

    Args:
        rendering: (H, W, 3) uint8 linear.
        photo: likewise.
        mask: (H, W) bool.

    Returns:
        (N, 2) and (N, 2) float32 pixels (u, v) from the first pixel's corner, of the points found there and back, and the
        number searched.
    """
    import cv2

    one, other = (cv2.cvtColor(to_display(picture), cv2.COLOR_RGB2GRAY) for picture in (rendering, photo))
    window = max(9, int(_WINDOW * max(mask.shape)) | 1)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((window, window), np.uint8))
    corners = cv2.goodFeaturesToTrack(one, _CORNERS, 0.005, max(3, window // 4), mask=inner)
    if corners is None or not len(corners):
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), 0
    there, found = _follow(one, other, corners, window)
    back, returned = _follow(other, one, there, window)
    good = (found[:, 0] > 0) & (returned[:, 0] > 0) & (np.linalg.norm(back - corners, axis=-1)[:, 0] < _RETURN)
    return corners[good, 0] + 0.5, there[good, 0] + 0.5, len(corners)


def _follow(one: np.ndarray, other: np.ndarray, points: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Where ``points`` (N, 1, 2) of the grey picture ``one`` are in ``other``, and (N, 1) whether they were found."""
    import cv2

    start = points.copy()  # only its shape counts: without a flag the search starts at the points themselves
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 0.005)
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, other, points, start, winSize=(window, window), maxLevel=4, criteria=stop)
    return there, found


def silhouette_iou(photo: np.ndarray, covered: np.ndarray) -> float | None:
    """Intersection over union of the mesh's mask and the photo's foreground; None where the background is not dark.

    Args:
        photo: (H, W, 3) uint8 linear.
        covered: (H, W) bool.
    """
    foreground = photo.max(-1) > DARK
    outside = foreground[~covered]
    if not covered.any() or not foreground.any() or len(outside) < 0.01 * covered.size or outside.mean() > 0.5:
        return None
    foreground = _largest_part(foreground)
    return float((foreground & covered).sum() / (foreground | covered).sum())


def _largest_part(foreground: np.ndarray) -> np.ndarray:
    import cv2

    _, labels, statistics, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8))
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return labels == largest


def _principal(view: MeshView, row: int) -> float:
    """Where the optical axis meets the picture, along one of its sides, pixels."""
    axis = view.projection[2, :3]
    return float(view.projection[row, :3] @ axis / (axis @ axis))


def _planes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()
