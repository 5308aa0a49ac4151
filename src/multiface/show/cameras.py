"""Cameras that were never there: on a circle around the head, or along a path. Head space, millimetres, degrees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multiface.capture import Capture, FrameKey
from multiface.core.errors import FormatError
from multiface.data.test_segments import read_json
from multiface.geometry import to_head

FILL = 0.86
"""How much of the picture's height or width, whichever is tighter, the head fills at most."""


@dataclass(frozen=True)
class Place:
    """Where a camera is, about the middle of the head.

    Attributes:
        yaw: Degrees to the subject's left; 0 is straight ahead.
        pitch: Degrees upwards.
        distance: Millimetres.
    """

    yaw: float
    pitch: float
    distance: float

    def direction(self) -> np.ndarray:
        """(3,) unit vector from the head to the camera."""
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


class Framing:
    """A picture that the mesh fills, from whatever side it is seen.

    Args:
        vertices: (V, 3) mesh, head space, mm; its middle is looked at.
        size: (height, width) of the picture, pixels.
        distance: Distance that the focal length is chosen for, mm.
    """

    def __init__(self, vertices: np.ndarray, size: tuple[int, int], distance: float = 1000.0) -> None:
        low, high = vertices.min(0), vertices.max(0)
        self.middle = (low + high) / 2
        self.size = size
        self.distance = distance
        extent = high - low
        width = float(max(extent[0], extent[2]))  # seen from any side
        self.focal = FILL * (distance - width / 2) * min(size[0] / float(extent[1]), size[1] / width)

    def projection(self, place: Place) -> np.ndarray:
        """(3, 4) float32 head space (mm) -> homogeneous pixels of a camera at ``place`` that looks at the middle."""
        centre = self.centre(place)
        forward = (self.middle - centre) / np.linalg.norm(self.middle - centre)
        right = np.cross(forward, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        intrinsics = np.array([[self.focal, 0, self.size[1] / 2], [0, self.focal, self.size[0] / 2], [0, 0, 1]])
        return (intrinsics @ np.column_stack([rotation, -rotation @ centre])).astype(np.float32)

    def view(self, place: Place) -> np.ndarray:
        """(3,) float32 unit vector from the head's origin to the camera, as decoders take it."""
        centre = self.centre(place)
        return (centre / np.linalg.norm(centre)).astype(np.float32)

    def centre(self, place: Place) -> np.ndarray:
        """(3,) position of the camera, head space, mm."""
        return self.middle + place.distance * place.direction()


def turntable(frames: int, degrees: float, distance: float) -> list[Place]:
    """A swing over ``degrees`` about the front and back again, or all the way round; the end meets the beginning."""
    phase = 2 * np.pi * np.arange(frames) / frames
    yaw = np.rad2deg(phase) if degrees >= 360 else degrees / 2 * np.sin(phase)
    return [Place(float(angle), 4.0, distance) for angle in yaw]


def along(stations: Sequence[Place], frames: int) -> list[Place]:
    """A smooth path of ``frames`` places through all stations, and back to the first."""
    values = np.array([[place.yaw, place.pitch, place.distance] for place in stations])
    if len(values) == 1:
        return list(stations) * frames
    closed = np.concatenate([values[-1:], values, values[:2]])
    at = len(values) * np.arange(frames) / frames
    first = at.astype(int)
    points = np.stack([closed[first + offset] for offset in range(4)])
    return [Place(*map(float, place)) for place in _catmull_rom(points, (at - first)[:, None])]


def stations_of_capture(capture: Capture, key: FrameKey, framing: Framing, distance: float) -> list[Place]:
    """The directions of the capture's cameras, from right to left, seen from ``distance``."""
    pose = capture.head_pose(key)
    places = []
    for camera in capture.cameras.values():
        away = to_head(pose, camera.center) - framing.middle
        x, y, z = away / np.linalg.norm(away)
        places.append(Place(float(np.rad2deg(np.arctan2(x, z))), float(np.rad2deg(np.arcsin(np.clip(y, -1, 1)))), distance))
    return sorted(places, key=lambda place: place.yaw)


def read_camera_path(path: str | Path, distance: float) -> list[Place]:
    """Stations from a JSON list of ``{"yaw": degrees, "pitch": degrees, "distance": mm}``; the last two may be left out.

    Raises:
        FormatError: it is no such list.
    """
    content = read_json(path, purpose="a camera path")
    if not isinstance(content, list) or not content or len(content) > 10_000:
        raise FormatError("a camera path is a list of 1 to 10,000 places", where=path, expected=_EXAMPLE)
    return [_place(item, number, path, distance) for number, item in enumerate(content)]


_EXAMPLE = '[{"yaw": -40, "pitch": 10, "distance": 900}, ...]'


def _place(item: object, number: int, path: str | Path, distance: float) -> Place:
    values = {"pitch": 0.0, "distance": distance, **item} if isinstance(item, dict) else {}
    known = set(values) == {"yaw", "pitch", "distance"}
    numbers = known and all(isinstance(v, (int, float)) and np.isfinite(v) for v in values.values())
    if not numbers or abs(values["pitch"]) > 85 or not 100 <= values["distance"] <= 1e5:
        raise FormatError(
            f"place {number} of a camera path cannot be used",
            where=path,
            expected=f"{_EXAMPLE}; pitch within 85 degrees, distance from 100 mm on",
            found=json.dumps(item)[:80],
        )
    return Place(float(values["yaw"]), float(values["pitch"]), float(values["distance"]))


def _catmull_rom(points: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Between the second and third of four points; E. Catmull, R. Rom, "A class of local interpolating splines", 1974."""
    a, b, c, d = points
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
