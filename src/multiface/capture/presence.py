"""What is there of each frame, known from the names in listed folders: no file is opened, or asked for one by one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiface.capture.image import IMAGE_SUFFIXES
from multiface.capture.layout import CaptureLayout
from multiface.capture.listing import Listing
from multiface.capture.names import AVERAGE, FrameKey, frame_order
from multiface.capture.store.store import StoreListing


class Presence:
    """Which meshes, head poses and pictures a capture has. Can be used by several threads.

    Pictures are of kind ``"photo"`` or ``"texture"``. Answers are kept: files that appear later are not seen.

    Args:
        layout: Where everything would be.
        listing: What is there.
        cameras: Names of the calibrated cameras.
    """

    def __init__(self, layout: CaptureLayout, listing: Listing | StoreListing, cameras: tuple[str, ...]) -> None:
        self._layout = layout
        self._listing = listing
        self._cameras = cameras
        self._mesh_files: dict[str, frozenset[str]] = {}
        self._frames: dict[tuple[str, str, str], frozenset[str]] = {}
        self._frames_of_names: dict[frozenset[str], frozenset[str]] = {}
        self._by_frame: dict[tuple[str, str], dict[str, frozenset[str]]] = {}

    def frames_with_mesh(self) -> tuple[FrameKey, ...]:
        """All frames that have vertex positions, by segment and frame number."""
        meshes = self._layout.meshes
        return tuple(
            FrameKey(segment, frame)
            for segment in self._listing.folders(meshes)
            for frame in sorted(_stems(self._listing.files(meshes / segment), ".bin"), key=frame_order)
        )

    def has_mesh_file(self, segment: str, name: str) -> bool:
        """Whether a file of that name is among the meshes and head poses of a segment."""
        names = self._mesh_files.get(segment)
        if names is None:
            folder = self._layout.vertices(FrameKey(segment, "0")).parent
            names = self._mesh_files[segment] = self._listing.files(folder)
        return name in names

    def has_picture(self, kind: str, key: FrameKey, camera: str) -> bool:
        """Whether a camera's picture of a frame is there, whatever its format."""
        return key.frame in self._picture_frames(kind, key.segment, camera)

    def cameras_with_picture(self, kind: str, key: FrameKey) -> frozenset[str]:
        """All calibrated cameras whose picture of a frame is there.

        Most frames of a segment have the same cameras, so the answers are few and kept for the whole segment.
        """
        by_frame = self._by_frame.get((kind, key.segment))
        if by_frame is None:
            by_frame = self._by_frame[(kind, key.segment)] = self._cameras_by_frame(kind, key.segment)
        return by_frame.get(key.frame, frozenset())

    def read_ahead(self, segments: Iterable[str], cameras: Iterable[str], kinds: Iterable[str]) -> None:
        """List the folders of these segments and cameras, and of the averages, at once."""
        segments = list(segments)
        pairs = [(segment, camera) for segment in segments for camera in (AVERAGE, *cameras)]
        folders = [self._picture_folder(kind, *pair) for kind in kinds for pair in pairs]
        self._listing.read_ahead([*folders, *(self._layout.meshes / segment for segment in segments)])

    def _cameras_by_frame(self, kind: str, segment: str) -> dict[str, frozenset[str]]:
        alike: dict[frozenset[str], list[str]] = {}  # cameras with pictures of the same frames
        for camera in self._cameras:
            alike.setdefault(self._picture_frames(kind, segment, camera), []).append(camera)
        groups: dict[str, list[int]] = {}
        for number, frames in enumerate(alike):
            for frame in frames:
                groups.setdefault(frame, []).append(number)
        members = list(alike.values())
        same: dict[tuple[int, ...], frozenset[str]] = {}
        for numbers in map(tuple, groups.values()):
            if numbers not in same:
                same[numbers] = frozenset(camera for number in numbers for camera in members[number])
        return {frame: same[tuple(numbers)] for frame, numbers in groups.items()}

    def _picture_frames(self, kind: str, segment: str, camera: str) -> frozenset[str]:
        """Frames of which a camera has a picture; cameras with pictures of the same names share one set."""
        frames = self._frames.get((kind, segment, camera))
        if frames is None:
            names = self._listing.files(self._picture_folder(kind, segment, camera))
            frames = self._frames_of_names.get(names)
            if frames is None:
                frames = frozenset(_stems(names, *IMAGE_SUFFIXES))
                self._frames_of_names[names] = frames
            self._frames[(kind, segment, camera)] = frames
        return frames

    def _picture_folder(self, kind: str, segment: str, camera: str) -> Path:
        path = self._layout.photo if kind == "photo" else self._layout.texture
        return path(FrameKey(segment, "0"), camera).parent


def _stems(names: Iterable[str], *suffixes: str) -> list[str]:
    """Names without their suffix, of those that have one of ``suffixes``."""
    return [name.rpartition(".")[0] for name in names if name.endswith(suffixes)]
