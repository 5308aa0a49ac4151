"""Inspection: what a capture holds and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from multiface.capture.capture import Capture
from multiface.capture.image import IMAGE_SUFFIXES
from multiface.capture.inspection.audio import check_audio
from multiface.capture.inspection.calibration import check_calibration
from multiface.capture.inspection.meshes import check_meshes
from multiface.capture.inspection.names import check_names
from multiface.capture.inspection.pictures import check_pictures, list_pictures
from multiface.capture.inspection.report import Gap, InspectionReport, SegmentSummary
from multiface.capture.inspection.statistics import check_statistics
from multiface.capture.inspection.store import check_store
from multiface.capture.names import AVERAGE, FrameKey, segment_kind

Progress = Callable[[int, int], None]


def inspect_capture(path: str | Path, quick: bool = False, progress: Progress | None = None) -> InspectionReport:
    """Look at every file of a capture.

    Args:
        path: The capture folder, or a store.
        quick: Only names, sizes and headers, head poses and statistics: pictures are not decoded (a PNG cut short is
            found all the same), mesh values not read.
        progress: Called with (files done, files in all) now and then, from this thread.

    Raises:
        CaptureError: there is no such capture, or it has no frames at all.
        FormatError: the KRT or the frame list cannot be read, so that nothing can be said about the rest.
    """
    capture = Capture(path)
    report = InspectionReport(path=capture.path, entity=capture.entity, quick=quick)
    _summarise(capture, report)
    store = capture.store
    total = len(store.index.rows) if store is not None else sum(1 for _ in list_pictures(capture)) + len(capture.frames)
    step = _stepper(total, progress)
    check_names(capture, report)
    check_calibration(capture, report)
    if store is not None:
        n_vertices = check_store(capture, store, report, step)
    else:
        n_vertices = check_meshes(capture, report, step)
        check_pictures(capture, report, step)
    check_statistics(capture, report, n_vertices)
    check_audio(capture, report)
    report.problems.sort()
    return report


def _stepper(total: int, progress: Progress | None) -> Callable[[int], None]:
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return step


def _summarise(capture: Capture, report: InspectionReport) -> None:
    report.frames = len(capture.frames)
    report.cameras = list(capture.calibrated)
    report.texture_sizes = list(capture.texture_sizes)
    for segment, keys in capture.segments.items():
        step, gaps = find_gaps(keys)
        report.segments[segment] = len(keys)
        report.gaps += gaps
        report.details[segment] = SegmentSummary(
            kind=segment_kind(segment),
            frames=len(keys),
            first=keys[0].frame,
            last=keys[-1].frame,
            step=step,
            gaps=len(gaps),
            photos=_count(capture, capture.layout.photos / segment),
            textures=_count(capture, capture.layout.textures / segment),
            averages=_count(capture, capture.layout.textures / segment, average=True),
        )


def find_gaps(keys: tuple[FrameKey, ...]) -> tuple[int | None, list[Gap]]:
    """Usual step of the frame numbers of one segment, in order, and where they advance by more than that.

    The usual step is the most frequent one, the smaller of two equally frequent ones. Frames without a number are passed over.
    """
    numbered = [(int(key.frame), key) for key in keys if key.frame.isascii() and key.frame.isdigit()]
    steps = Counter(b - a for (a, _), (b, _) in pairwise(numbered) if b > a)
    if not steps:
        return None, []
    usual = min(steps, key=lambda step: (-steps[step], step))
    gaps = [
        Gap(first.segment, first.frame, second.frame, (b - a - 1) // usual)
        for (a, first), (b, second) in pairwise(numbered)
        if b - a > usual
    ]
    return usual, gaps


def _count(capture: Capture, folder: Path, average: bool = False) -> int:
    cameras = [camera for camera in capture.listing.folders(folder) if (camera == AVERAGE) == average]
    return sum(name.endswith(IMAGE_SUFFIXES) for camera in cameras for name in capture.listing.files(folder / camera))
