"""Segments, frames and cameras by the names that people type; a name that fits nothing is answered with the nearest ones."""

from __future__ import annotations

from collections.abc import Sequence

from multiface.capture import Capture, FrameKey
from multiface.core.errors import ArgumentError, CaptureError
from multiface.data.test_segments import nearest_names


def matching(wanted: str, names: Sequence[str], capture: Capture) -> list[str]:
    """The segment called ``wanted``, else all that begin with it.

    Raises:
        CaptureError: there is none.
    """
    found = [wanted] if wanted in names else [name for name in names if wanted and name.startswith(wanted)]
    if not found:
        raise CaptureError(
            f"no segment is called '{wanted}' or begins so",
            where=capture.path,
            found=f"{len(names)} segments, the nearest {', '.join(nearest_names([wanted], names))}",
        )
    return found


def check_cameras(capture: Capture, wanted: Sequence[str]) -> None:
    """Refuse cameras that the calibration lacks."""
    unknown = [name for name in wanted if name not in capture.calibrated]
    if unknown:
        raise CaptureError(
            f"there is no camera {', '.join(unknown)}",
            where=capture.path,
            found=f"{len(capture.calibrated)} cameras, the nearest {', '.join(nearest_names(unknown, capture.calibrated))}",
        )


def choose_frame(capture: Capture, name: str | None) -> FrameKey:
    """The frame ``SEGMENT/FRAME`` (a segment's beginning is enough), or the middle one of the first segment.

    Raises:
        ArgumentError: it is not of that form.
        CaptureError: there is no such segment or frame; names the nearest.
    """
    if name is None:
        frames = next(iter(capture.segments.values()))
        return frames[len(frames) // 2]
    segment, slash, frame = name.rpartition("/")
    if not slash:
        raise ArgumentError("a frame is named by segment and number", expected="SEGMENT/FRAME", found=name)
    segment = matching(segment, list(capture.segments), capture)[0]
    frames = capture.segments[segment]
    key = FrameKey(segment, frame)
    if key not in frames:
        raise CaptureError(
            f"there is no frame {frame} in {segment}",
            where=capture.path,
            found=f"{len(frames)} frames, the nearest {', '.join(nearest_names([frame], [other.frame for other in frames]))}",
        )
    return key
