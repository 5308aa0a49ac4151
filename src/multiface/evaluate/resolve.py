"""From a protocol and a capture to the exact samples of a test, and to what of them is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from multiface.capture import Capture, FrameKey
from multiface.capture.names import frame_order
from multiface.core.errors import CaptureError
from multiface.data import Sample, SampleIndex, build_index
from multiface.data.index import Skipped
from multiface.data.test_segments import check_test_segments, starts_with_any
from multiface.evaluate.protocol import Protocol, Selection

_MOST_NAMES = 12
_MOST_CAMERAS = 60  # more than any rig of the release has


@dataclass(frozen=True)
class TestSet:
    """The samples of a test, exactly.

    Attributes:
        protocol: Where they come from.
        index: The samples that can be loaded.
        frames, cameras: All that the protocol names.
        absent_segments: Segments that it names and the capture lacks altogether, unless it lists their frames.
        absent_cameras, absent_frames: Cameras and frames that the capture lacks.
        absent_pairs: (frame, camera) pairs without a texture (or a needed photo), of frames and cameras that are there.
        with_photos: Whether rendered pictures are compared with photos.
        digest: SHA-256 of the measured samples, in sorted order; equal digests mean equal tests.
    """

    __test__ = False

    protocol: Protocol
    index: SampleIndex
    frames: tuple[FrameKey, ...]
    cameras: tuple[str, ...]
    absent_segments: tuple[str, ...]
    absent_cameras: tuple[str, ...]
    absent_frames: tuple[Skipped, ...]
    absent_pairs: int
    with_photos: bool
    digest: str

    @property
    def label(self) -> str:
        """Name of the protocol, with what is missing: for the title of every table."""
        missing = self.missing_text()
        return f"{self.protocol.name}, INCOMPLETE: {missing}" if missing else self.protocol.name

    def missing_text(self) -> str:
        """What is missing against the protocol, empty when nothing is."""
        parts = []
        if self.absent_segments:
            parts.append(f"{len(self.absent_segments)} segments absent")
        if self.absent_cameras:
            parts.append(f"{len(self.absent_cameras)} of {len(self.cameras)} cameras absent")
        if self.absent_frames:
            parts.append(f"{len(self.absent_frames)} of {len(self.frames)} frames absent")
        if self.absent_pairs and self.protocol.pairs == "all":
            parts.append(f"{self.absent_pairs} frame-camera pairs absent")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Name, digests and counts, for results."""
        return {
            "name": self.protocol.name,
            "version": self.protocol.version,
            "protocol_sha256": self.protocol.digest,
            "samples_sha256": self.digest,
            "complete": not self.missing_text(),
            "frames": len(self.index.frames),
            "cameras": len(self.index.cameras),
            "absent": {
                "segments": list(self.absent_segments),
                "cameras": list(self.absent_cameras),
                "frames": len(self.absent_frames),
                "pairs": self.absent_pairs,
            },
        }

    def exact(self) -> dict[str, Any]:
        """The protocol with its rules replaced by lists: itself a protocol file for this capture."""
        content = dict(self.protocol.content)
        content["name"] = f"{self.protocol.name}, exact"
        frames: dict[str, list[str]] = {}
        for key in self.frames:
            frames.setdefault(key.segment, []).append(key.frame)
        person = {"segments": {"names": list(frames)}, "frames": frames, "cameras": list(self.cameras)}
        for name in ("people", "anyone", "segments", "frames"):
            content.pop(name, None)
        return {**content, "anyone": person, "resolved": self.to_json()}


def resolve(protocol: Protocol, capture: Capture, *, allow_missing: bool = False, photos: bool | None = None) -> TestSet:
    """The exact samples of ``protocol`` on ``capture``.

    Args:
        protocol: What to test.
        capture: Where.
        allow_missing: Test what is there of a protocol that names absent frames or cameras; the set's label says so.
        photos: Whether pictures are compared; decided by the protocol and the capture when None.

    Raises:
        ArgumentError: the protocol is for other people.
        CaptureError: frames or cameras are absent and that is not allowed, or nothing is left.
    """
    selection = protocol.selection(capture.entity)
    frames, absent_segments = _frames(selection, capture)
    cameras, absent_cameras = _cameras(selection, capture, frames)
    there = [name for name in cameras if name not in absent_cameras]
    index = build_index(capture, frames, there)
    with_photos = _with_photos(protocol, capture, index) if photos is None else photos
    if with_photos:
        index = build_index(capture, frames, there, need_photo=True)
    absent_frames = tuple(entry for entry in index.skipped if entry.what.count("/") == 1)
    test_set = TestSet(
        protocol=protocol,
        index=index,
        frames=frames,
        cameras=cameras,
        absent_segments=absent_segments,
        absent_cameras=absent_cameras,
        absent_frames=absent_frames,
        absent_pairs=len(index.skipped) - len(absent_frames),
        with_photos=with_photos,
        digest=samples_digest(index.samples),
    )
    _require(test_set, capture, allow_missing)
    return test_set


def samples_digest(samples: Iterable[Sample]) -> str:
    """SHA-256 of ``segment/frame/camera`` lines in sorted order."""
    digest = hashlib.sha256()
    for line in sorted(f"{key.segment}/{key.frame}/{camera}\n" for key, camera in samples):
        digest.update(line.encode("utf-8"))
    return digest.hexdigest()


def _frames(selection: Selection, capture: Capture) -> tuple[tuple[FrameKey, ...], tuple[str, ...]]:
    """The frames, and segments of which nobody can tell the frames since the capture lacks them."""
    if isinstance(selection.frames, dict) and "every" not in selection.frames:
        return tuple(FrameKey(segment, frame) for segment, names in selection.frames.items() for frame in names), ()
    (kind, wanted), by_segment = next(iter(selection.segments.items())), capture.segments
    absent: tuple[str, ...] = ()
    if kind == "names":
        segments = [name for name in wanted if name in by_segment]
        absent = tuple(name for name in wanted if name not in by_segment)
    elif kind == "prefixes":
        check_test_segments(wanted, by_segment, where=capture.path)
        segments = [name for name in by_segment if starts_with_any(name, wanted)]
    else:
        segments = [name for name in by_segment if not starts_with_any(name, wanted)]
    return tuple(key for name in segments for key in _chosen(by_segment[name], selection.frames)), absent


def _chosen(keys: Sequence[FrameKey], rule: Any) -> Sequence[FrameKey]:
    ordered = sorted(keys, key=lambda key: frame_order(key.frame))
    if rule == "all":
        return ordered
    return ordered[min(rule["from"], max(len(ordered) - 1, 0)) :: rule["every"]]


def _cameras(selection: Selection, capture: Capture, frames: Sequence[FrameKey]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the cameras in KRT order (absent ones last), and the absent ones: not in KRT, or without any texture."""
    having = [name for name in capture.cameras if any(capture.has_texture(key, name) for key in frames)]
    if isinstance(selection.cameras, list):
        present = [name for name in having if name in selection.cameras]
        absent = [name for name in selection.cameras if name not in present]
        return (*present, *absent), tuple(absent)
    if selection.cameras == "all":
        return tuple(having), ()
    everywhere = sorted(name for name in capture.cameras if any(capture.has_texture(key, name) for key in capture.frames))
    rule: Any = selection.cameras
    start, step = rule["from"], rule["every"]
    chosen = everywhere[min(start, max(len(everywhere) - 1, 0)) :: step]
    return tuple(name for name in capture.cameras if name in chosen), tuple(n for n in chosen if n not in having)


def _with_photos(protocol: Protocol, capture: Capture, index: SampleIndex) -> bool:
    """Pictures are compared for all samples or for none: what is missing of them must not change what else is measured."""
    if protocol.pictures != "if there":
        return protocol.pictures == "required"
    return bool(index.samples) and all(capture.has_photo(*sample) for sample in index.samples)


def _require(test_set: TestSet, capture: Capture, allow_missing: bool) -> None:
    missing = test_set.missing_text()
    if missing and not allow_missing:
        raise CaptureError(
            f"protocol {test_set.protocol.name} names what the capture lacks: {missing}",
            where=capture.path,
            found=_listed(test_set),
            remedy="Fetch it, or measure what is there with --allow_missing: every table will say so",
        )
    if not test_set.index.samples:
        raise CaptureError(
            f"nothing of protocol {test_set.protocol.name} is in the capture",
            where=capture.path,
            found=missing or test_set.index.skipped_summary() or "no frames",
            remedy="`multiface inspect` tells what is there",
        )


def _listed(test_set: TestSet) -> str:
    """Everything that is absent by name, each kind for itself, so that many of one kind do not hide another."""
    pairs = [f"{what} ({why})" for what, why in test_set.index.skipped if what.count("/") == 2]
    kinds = [
        ("segments", _names(test_set.absent_segments, _MOST_CAMERAS)),
        ("cameras", _names(test_set.absent_cameras, _MOST_CAMERAS)),
        ("frames", _names([f"{what} ({why})" for what, why in test_set.absent_frames])),
        ("pairs", _names(pairs) if test_set.protocol.pairs == "all" else ""),
    ]
    return "missing " + "; ".join(f"{kind} {names}" for kind, names in kinds if names)


def _names(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
