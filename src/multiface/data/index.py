"""The list of samples: which camera textures of which frames, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from multiface.capture import AVERAGE, Capture, FrameKey
from multiface.core.errors import CaptureError
from multiface.core.memory import without_collection
from multiface.data.test_segments import nearest_names, starts_with_any


class Sample(NamedTuple):
    """One camera's view of one frame."""

    key: FrameKey
    camera: str

    def __str__(self) -> str:
        return f"{self.key}/{self.camera}"


class Skipped(NamedTuple):
    """Something that a list or a file asked for and that is not used.

    Attributes:
        what: A frame "segment/frame", a sample "segment/frame/camera", or a file.
        reason: Why, a short clause.
    """

    what: str
    reason: str


@dataclass(frozen=True)
class SampleIndex:
    """Samples in order: by frame list, then by camera set.

    Attributes:
        samples: What can be loaded.
        skipped: Frames and samples of the wanted segments that cannot.
        n_unselected: Frames left out because of their segment.
        segments: All segments of the frame list, selected or not, in order of appearance.
    """

    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    n_unselected: int = 0
    segments: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def frames(self) -> tuple[FrameKey, ...]:
        """The frames of the samples, each once, in order."""
        return tuple(dict.fromkeys(sample.key for sample in self.samples))

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras of the samples, each once, in order of appearance."""
        return tuple(dict.fromkeys(sample.camera for sample in self.samples))

    def skipped_summary(self) -> str:
        """One clause: how many were skipped for each reason, the most frequent first; empty when none."""
        reasons = Counter(skipped.reason for skipped in self.skipped)
        return ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common())


def build_index(
    capture: Capture,
    frame_keys: Iterable[FrameKey],
    cameras: Sequence[str] | None,
    *,
    exclude: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    need_photo: bool = False,
) -> SampleIndex:
    """List the samples of a capture by the published rules, from folder listings alone: no image is opened.

    For every frame of the list in order: dropped when ``only`` is given and its segment begins with none of these, or
    begins with one of ``exclude`` (case matters); skipped when its average texture, mesh or head pose is missing. Then for
    every camera of the set in order: skipped when its texture, or the photo if needed, is missing.

    Args:
        capture: The capture.
        frame_keys: Frame list.
        cameras: Camera set in order; all cameras of KRT when None.
        exclude: Segment prefixes to leave out (the test segments, when training).
        only: Segment prefixes to keep (the test segments, when testing).
        need_photo: Whether samples without a photo are of no use.

    Raises:
        CaptureError: a camera of the set is not in KRT.
    """
    cameras = capture.calibrated if cameras is None else tuple(cameras)
    _check_cameras(capture, cameras)
    frame_keys = list(frame_keys)
    segments = {segment: _selected(segment, only, exclude) for segment in dict.fromkeys(key.segment for key in frame_keys)}
    capture.read_listings([name for name, selected in segments.items() if selected], cameras, photos=need_photo)
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    seen: set[FrameKey] = set()
    n_unselected = 0
    with without_collection():
        for key in frame_keys:
            if not segments[key.segment]:
                n_unselected += 1
                continue
            reason = "listed twice" if key in seen else _frame_problem(capture, key)
            seen.add(key)
            if reason is not None:
                skipped.append(Skipped(str(key), reason))
                continue
            _add_views(capture, key, cameras, need_photo, samples, skipped)
    capture.keep_listings()
    return SampleIndex(tuple(samples), tuple(skipped), n_unselected, tuple(segments))


def require_samples(index: SampleIndex, purpose: str, *, prefixes: Sequence[str] | None = None) -> SampleIndex:
    """The index itself, unless it is empty.

    Args:
        index: What :func:`build_index` found.
        purpose: What the samples are for: "training", "testing".
        prefixes: Segment prefixes that were asked for, for the message.

    Raises:
        CaptureError: it says how many frames were dropped for which reason, and which segments are nearest to those wanted.
    """
    if index.samples:
        return index
    causes = [f"{index.n_unselected} frames of other segments"] if index.n_unselected else []
    causes += [index.skipped_summary()] if index.skipped else []
    if prefixes and index.segments:
        causes.append(f"segments nearest to those wanted: {', '.join(nearest_names(prefixes, index.segments))}")
    raise CaptureError(
        f"there is nothing for {purpose}: no sample is left",
        expected=f"segments beginning with {', '.join(prefixes)}" if prefixes else None,
        found="; ".join(causes) or "an empty frame list",
        remedy="Check the frame list, the test segments and the camera split; `multiface inspect` tells what is there",
    )


def _selected(segment: str, only: Sequence[str] | None, exclude: Sequence[str] | None) -> bool:
    return (only is None or starts_with_any(segment, only)) and not starts_with_any(segment, exclude or ())


def _check_cameras(capture: Capture, cameras: Sequence[str]) -> None:
    unknown = [camera for camera in cameras if camera not in capture.calibrated]
    if unknown:
        raise CaptureError(
            f"cameras without calibration: {', '.join(unknown)}",
            where=capture.path,
            expected=f"some of the {len(capture.calibrated)} cameras of KRT",
            found=f"nearest {', '.join(nearest_names(unknown, capture.calibrated))}",
        )


def _add_views(
    capture: Capture,
    key: FrameKey,
    cameras: Sequence[str],
    need_photo: bool,
    samples: list[Sample],
    skipped: list[Skipped],
) -> None:
    """The frame's views in order; called for every frame of millions of views, hence the sets instead of questions."""
    textures = capture.cameras_with_texture(key)
    photos = capture.cameras_with_photo(key) if need_photo else textures
    if textures.issuperset(cameras) and photos.issuperset(cameras):
        samples += [Sample(key, camera) for camera in cameras]
        return
    for camera in cameras:
        if camera not in textures:
            skipped.append(Skipped(f"{key}/{camera}", "no texture of this camera"))
        elif camera not in photos:
            skipped.append(Skipped(f"{key}/{camera}", "no photo of this camera"))
        else:
            samples.append(Sample(key, camera))


def _frame_problem(capture: Capture, key: FrameKey) -> str | None:
    there = {
        "average texture": capture.has_texture(key, AVERAGE),
        "mesh": capture.has_mesh(key),
        "head pose": capture.has_head_pose(key),
    }
    if not any(there.values()):
        return "no such frame in the capture"
    missing = [what for what, is_there in there.items() if not is_there]
    return f"no {' and no '.join(missing)}" if missing else None
