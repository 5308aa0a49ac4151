"""Unwrapping a whole capture: textures, averages and statistics from photos, meshes, poses and calibration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiface.capture import (
    AVERAGE,
    Capture,
    FrameKey,
    Statistics,
    image_size,
    write_frame_list,
    write_image,
    write_statistics,
)
from multiface.core.errors import CaptureError, FormatError
from multiface.core.parallel import default_workers, ordered_map
from multiface.geometry import projection_matrix
from multiface.prepare.average import TextureAverage
from multiface.prepare.statistics import TextureStatistics, VertexStatistics
from multiface.prepare.unwrap import unwrap_photo, view_cosine
from multiface.prepare.uv_map import SurfaceMap, UvMap


class LeftOut(NamedTuple):
    """A file (relative to the capture) that could not be used or is not there, and why."""

    file: str
    reason: str


@dataclass
class FrameResult:
    """One frame's part in a :class:`UnwrapReport`, and its (V, 3) mesh."""

    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    textures: int = 0
    written: int = 0
    skipped: list[LeftOut] = field(default_factory=list)


@dataclass
class UnwrapReport:
    """What :func:`unwrap_capture` did.

    Attributes:
        capture: The capture folder.
        texture_size: T.
        frames: Frames that have an average texture now.
        textures: Camera textures there are now.
        written: Camera textures made in this run.
        skipped: Photos, meshes and poses that are missing or broken.
        seconds: Wall time.
    """

    capture: Path
    texture_size: int
    frames: int = 0
    textures: int = 0
    written: int = 0
    skipped: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, frame: FrameResult) -> None:
        """Count one more frame."""
        self.frames += frame.textures > 0
        self.textures += frame.textures
        self.written += frame.written
        self.skipped += frame.skipped

    def to_json(self) -> dict[str, object]:
        """The report as plain types."""
        return {
            "capture": str(self.capture),
            "texture_size": self.texture_size,
            "frames": self.frames,
            "textures": self.textures,
            "written": self.written,
            "skipped": [entry._asdict() for entry in self.skipped],
            "seconds": round(self.seconds, 3),
        }


def unwrap_capture(
    path: str | Path,
    texture_size: int = 1024,
    *,
    cameras: Sequence[str] | None = None,
    segments: Sequence[str] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UnwrapReport:
    """Write ``unwrapped_uv_<T>/``, tex_mean.png, tex_var.txt, vert_mean.bin, vert_var.txt and, if missing, frame_list.txt.

    Textures that are there already are kept, so an interrupted run goes on where it stopped. Averages and statistics are
    over all textures of this size in the capture, those of earlier runs included. The same input gives the same bytes
    whatever the number of threads.

    Args:
        path: Capture folder.
        texture_size: T.
        cameras: Cameras to unwrap; all of KRT when absent.
        segments: Segments to unwrap (whole names); all when absent.
        overwrite: Make textures anew even where they are.
        workers: Threads; one per core, up to eight, when absent.
        progress: Called with (frames done, frames in all).

    Raises:
        CaptureError: not a capture, unknown camera or segment, or nothing at all can be unwrapped.
        FormatError: calibration, frame list or topology cannot be read.
        StorageError: a file cannot be written.
    """
    start = time.perf_counter()
    capture = Capture(path, texture_size=texture_size)
    _check_names("cameras", cameras, capture.cameras, capture.path)
    _check_names("segments", segments, capture.segments, capture.path)
    unwrapper = _Unwrapper(capture, UvMap(_topology(capture), texture_size), cameras, segments, overwrite)
    report = UnwrapReport(capture.path, texture_size)
    vertices = VertexStatistics()
    results = ordered_map(unwrapper.unwrap, capture.frames, workers=default_workers() if workers is None else workers)
    with closing(results):
        for done, result in enumerate(results, start=1):
            report.add(result)
            if result.textures:
                vertices.add(result.vertices)
            if progress is not None:
                progress(done, len(capture.frames))
    _require_textures(report)
    if report.written or overwrite or not _has_statistics(capture):
        _write_statistics(capture, unwrapper.statistics, vertices)
    if not capture.layout.frame_list.exists():
        write_frame_list(capture.layout.frame_list, capture.frames)
    report.seconds = time.perf_counter() - start
    return report


class _Unwrapper:
    """Unwraps single frames of one capture, in any thread."""

    def __init__(
        self,
        capture: Capture,
        uv_map: UvMap,
        cameras: Sequence[str] | None,
        segments: Sequence[str] | None,
        overwrite: bool,
    ) -> None:
        self.capture = capture
        self.statistics = TextureStatistics(uv_map.size)
        self._lock = threading.Lock()
        self._uv_map = uv_map
        self._cameras = set(capture.cameras if cameras is None else cameras)
        self._segments = set(capture.segments if segments is None else segments)
        self._overwrite = overwrite

    def unwrap(self, key: FrameKey) -> FrameResult:
        """Make or read the textures of one frame, write its average, and add all of it to the statistics."""
        result = FrameResult()
        selected = [name for name in self.capture.cameras if name in self._cameras and key.segment in self._segments]
        existing = [name for name in self.capture.cameras if self.capture.has_texture(key, name)]
        if not selected and not existing:
            return result
        try:
            result.vertices, pose = self.capture.vertices(key), self.capture.head_pose(key)
        except (CaptureError, FormatError) as error:
            result.skipped.append(self._left_out(self.capture.layout.vertices(key), error))
            return result
        surface = self._uv_map.surface(result.vertices)
        average = TextureAverage(self._uv_map.size)
        for name, camera in self.capture.cameras.items():
            projection = projection_matrix(camera, pose)
            keep = name in existing and not (self._overwrite and name in selected)
            texture = self._existing(key, name) if keep else None
            if texture is None and name in selected:
                texture = self._make(key, name, surface, projection, result)
            if texture is not None:
                average.add(texture, view_cosine(surface, projection))
                self._count(texture, result)
        if result.textures and (result.written or self._existing(key, AVERAGE) is None):
            write_image(self.capture.layout.average(key), average.result())
        return result

    def _existing(self, key: FrameKey, camera: str) -> np.ndarray | None:
        """The texture on disk; None when there is none that can be read."""
        try:
            return self.capture.texture(key, camera) if self.capture.has_texture(key, camera) else None
        except FormatError:
            return None

    def _make(
        self, key: FrameKey, camera: str, surface: SurfaceMap, projection: np.ndarray, result: FrameResult
    ) -> np.ndarray | None:
        path = self.capture.layout.photo(key, camera)
        if not self.capture.has_photo(key, camera):
            result.skipped.append(LeftOut(self._relative(path), "no photo"))
            return None
        try:
            photo = self.capture.photo(key, camera)
            _check_size(photo, self.capture.cameras[camera].size, path)
        except (CaptureError, FormatError) as error:
            result.skipped.append(self._left_out(path, error))
            return None
        texture = unwrap_photo(surface, projection, photo)
        write_image(self.capture.layout.texture(key, camera), texture)
        result.written += 1
        return texture

    def _count(self, texture: np.ndarray, result: FrameResult) -> None:
        result.textures += 1
        with self._lock:
            self.statistics.add(texture)

    def _left_out(self, path: Path, error: CaptureError | FormatError) -> LeftOut:
        where, _, line = (error.where or str(path)).partition(", line ")
        return LeftOut(self._relative(Path(where)), f"line {line}: {error.what}" if line else error.what)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.capture.path).as_posix() if path.is_relative_to(self.capture.path) else str(path)


def _check_names(kind: str, wanted: Sequence[str] | None, there: Iterable[str], where: Path) -> None:
    unknown = [name for name in wanted or () if name not in there]
    if unknown:
        raise CaptureError(
            f"the capture has no {kind} {', '.join(unknown)}", where=where, expected=f"some of {', '.join(there) or 'none'}"
        )


def _topology(capture: Capture):
    topology = capture.topology
    if topology.n_vertices > capture.n_vertices:
        raise FormatError(
            "topology and meshes do not fit together",
            where=capture.path,
            expected=f"meshes of {topology.n_vertices} vertices or more",
            found=capture.n_vertices,
        )
    return topology


def _check_size(photo: np.ndarray, size: tuple[int, int], path: Path) -> None:
    if photo.shape[:2] != tuple(size):
        raise FormatError("photo has another size than the camera's other photos", where=path)


def _require_textures(report: UnwrapReport) -> None:
    if report.textures:
        return
    reasons = "; ".join(f"{entry.file}: {entry.reason}" for entry in report.skipped[:3])
    raise CaptureError(
        "nothing could be unwrapped",
        where=report.capture,
        found=reasons or None,
        remedy="`multiface inspect` tells what the capture lacks",
    )


def _has_statistics(capture: Capture) -> bool:
    layout = capture.layout
    if not all(path.is_file() for path in (layout.tex_mean, layout.tex_var, layout.vert_mean, layout.vert_var)):
        return False
    return image_size(layout.tex_mean) == (layout.texture_size, layout.texture_size)


def _write_statistics(capture: Capture, textures: TextureStatistics, vertices: VertexStatistics) -> None:
    # A single frame has no variance; normalising by 1 mm (or one grey level) is as good as anything then.
    write_statistics(
        capture.layout,
        Statistics(
            tex_mean=textures.mean(),
            tex_var=textures.variance() or 1.0,
            vert_mean=vertices.mean(),
            vert_var=vertices.variance() or 1.0,
        ),
    )
