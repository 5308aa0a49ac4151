"""KRT: the calibration of every camera, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from multiface.capture.names import AVERAGE, is_safe_name
from multiface.capture.text import at_line, number_text, parse_numbers, quoted, read_lines
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import write_text
from multiface.geometry import Camera

PHOTO_SIZE = (2048, 1334)
"""(height, width) of the published photos."""

_LIMIT = 16 << 20
_BLOCK = "a name, 3 lines of K, 1 of distortion, 3 of [R|t]"


def read_krt(path: str | Path, size: tuple[int, int] = PHOTO_SIZE) -> dict[str, Camera]:
    """Cameras by name, in the order of the file, which is the camera index.

    Blank lines before a name, CRLF, tabs, any number of distortion values and a missing last separator are fine. That
    R is a rotation is not checked here (:func:`multiface.capture.inspect_capture` does).

    Args:
        path: The KRT file.
        size: (height, width) of the photos that its intrinsics belong to; the file does not say.

    Raises:
        CaptureError: there is no such file.
        FormatError: a block is incomplete, a camera comes twice, a value is no finite number, K cannot be inverted, or
            there is no camera at all. The line is named.
    """
    lines = read_lines(path, limit=_LIMIT, kind="camera calibration (KRT)")
    cameras: dict[str, Camera] = {}
    first_line: dict[str, int] = {}
    position = 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        name = _name(lines[position], at_line(path, position + 1))
        if name in first_line:
            raise FormatError(
                f"camera '{name}' comes twice",
                where=at_line(path, position + 1),
                found=f"it is in line {first_line[name]} already",
                remedy="Remove one of the two blocks; the order of the rest is the camera index",
            )
        first_line[name] = position + 1
        cameras[name] = _block(path, lines, position, name, size)
        position += 8
    if not cameras:
        raise FormatError("calibration holds no camera", where=path, expected=_BLOCK, remedy="Copy the KRT file again")
    return cameras


def _name(line: str, where: str) -> str:
    name = line.strip()
    if not is_safe_name(name) or name == AVERAGE:
        raise FormatError(
            "this cannot be the name of a camera",
            where=where,
            expected="a name that a folder can have, other than 'average'",
            found=quoted(name),
        )
    return name


def _block(path: str | Path, lines: list[str], start: int, name: str, size: tuple[int, int]) -> Camera:
    if len(lines) < start + 8:
        raise FormatError(
            f"calibration of camera '{name}' is incomplete: the file ends",
            where=at_line(path, len(lines)),
            expected=_BLOCK,
            found=f"{len(lines) - start} of 8 lines",
            remedy="Copy the KRT file again, or remove that block",
        )

    def numbers(offset: int, count: int | None, meaning: str) -> list[float]:
        line = start + offset
        return parse_numbers(lines[line], count=count, where=at_line(path, line + 1), meaning=f"{meaning} of camera '{name}'")

    K = np.array([numbers(1 + row, 3, f"row {row + 1} of K") for row in range(3)])
    distortion = tuple(numbers(4, None, "distortion"))
    Rt = np.array([numbers(5 + row, 4, f"row {row + 1} of [R|t]") for row in range(3)])
    if np.linalg.matrix_rank(K) < 3:
        raise FormatError(f"K of camera '{name}' cannot be inverted", where=at_line(path, start + 2), found=K.tolist())
    return Camera(name=name, K=K, Rt=Rt, size=size, distortion=distortion)


def write_krt(path: str | Path, cameras: Mapping[str, Camera] | Iterable[Camera]) -> None:
    """Write cameras in their order, with as many digits as float64 needs.

    Raises:
        ArgumentError: a name cannot be used or comes twice, or a value is not finite.
        StorageError: the file cannot be written.
    """
    listed = list(cameras.values() if isinstance(cameras, Mapping) else cameras)
    names = [camera.name for camera in listed]
    if len(set(names)) != len(names):
        raise ArgumentError("a camera comes twice", where=path, found=sorted(n for n in set(names) if names.count(n) > 1))
    write_text(path, "\n".join(_block_text(camera) for camera in listed))


def _block_text(camera: Camera) -> str:
    if not is_safe_name(camera.name) or camera.name != camera.name.strip() or camera.name == AVERAGE:
        raise ArgumentError("this cannot be the name of a camera", found=repr(camera.name))
    rows = [*camera.K, camera.distortion, *camera.Rt]
    if not all(np.isfinite(np.asarray(row, np.float64)).all() for row in rows):
        raise ArgumentError(f"calibration of camera '{camera.name}' is not finite")
    return "\n".join([camera.name, *(" ".join(map(number_text, row)) for row in rows)]) + "\n"
