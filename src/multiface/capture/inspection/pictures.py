"""Every photo and texture: headers and endings (quick), or all pixels (full)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from multiface.capture.capture import Capture
from multiface.capture.image import IMAGE_SUFFIXES, image_size, read_image
from multiface.capture.inspection.report import InspectionReport
from multiface.core.errors import CaptureError, FormatError, MultifaceError
from multiface.core.parallel import default_workers, ordered_map

_PNG_END = b"IEND\xaeB`\x82"
_ENDING = 1024  # bytes; a little may follow the end of a PNG
_REMEMBERED = 1000  # files of one camera and size


class Picture(NamedTuple):
    """One file found: what kind it is, whose, and the texture size its folder promises."""

    path: Path
    camera: str
    texture_size: int | None


def list_pictures(capture: Capture) -> Iterator[Picture]:
    """All photos, then all textures of all sizes, whether listed as frames or not."""
    roots = [(capture.layout.photos, None)]
    roots += [(capture.path / f"unwrapped_uv_{size}", size) for size in capture.texture_sizes]
    for root, texture_size in roots:
        for segment in capture.listing.folders(root):
            for camera in capture.listing.folders(root / segment):
                folder = root / segment / camera
                for name in sorted(capture.listing.files(folder)):
                    if name.endswith(IMAGE_SUFFIXES):
                        yield Picture(folder / name, camera, texture_size)


def check_pictures(capture: Capture, report: InspectionReport, step: Callable[[int], None]) -> None:
    """Note pictures that cannot be read, textures that are not T x T, and photos unlike the others of their camera."""
    photos: dict[str, dict[tuple[int, int], _Files]] = defaultdict(lambda: defaultdict(_Files))
    totals: dict[str, Counter[tuple[int, int]]] = {"photos": Counter(), "textures": Counter()}
    looked = ordered_map(partial(_look, quick=report.quick), list_pictures(capture), workers=default_workers(at_most=32))
    for picture, size, error in looked:
        step(1)
        if size is None:
            report.add(picture.path, error or "image cannot be read")
            continue
        expected = picture.texture_size
        totals["photos" if expected is None else "textures"][size] += 1
        if expected is None:
            photos[picture.camera][size].add(picture.path)
        elif size != (expected, expected):
            found = f"expected {expected} x {expected}, found {size[1]} x {size[0]}"
            report.add(picture.path, f"texture has the wrong size ({found})")
    report.sizes.update(totals)
    for camera, sizes in photos.items():
        _check_photo_sizes(report, camera, sizes)


class _Files:
    """A number of files, and the first of them by name."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Path] = []

    def add(self, path: Path) -> None:
        self.count += 1
        if len(self.first) < _REMEMBERED:
            self.first.append(path)


def _check_photo_sizes(report: InspectionReport, camera: str, sizes: dict[tuple[int, int], _Files]) -> None:
    usual = max(sizes, key=lambda size: sizes[size].count)
    for size, files in sizes.items():
        if size == usual:
            continue
        what = f"photo is {size[1]} x {size[0]}, the others of camera {camera} are {usual[1]} x {usual[0]}"
        for path in files.first:
            report.add(path, what)
        if files.count > len(files.first):
            report.add(files.first[-1], f"and {files.count - len(files.first)} more photos of camera {camera} of that size")


def _look(picture: Picture, quick: bool) -> tuple[Picture, tuple[int, int] | None, MultifaceError | str | None]:
    path = picture.path
    try:
        if not quick:
            height, width = read_image(path).shape[:2]
            return picture, (height, width), None
        size = image_size(path)
        if path.suffix == ".png" and not _has_end(path):
            return picture, None, "image is truncated (the end of the PNG is missing)"
        return picture, size, None
    except CaptureError as error:
        if path.is_symlink() and not path.exists():
            return picture, None, f"link leads nowhere (to {path.readlink()})"
        return picture, None, error
    except FormatError as error:
        return picture, None, error
    except OSError as error:
        return picture, None, f"image cannot be read: {error.strerror}"


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _ENDING))
        return _PNG_END in file.read()
