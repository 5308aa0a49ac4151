"""What is packed, and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from multiface.capture import Capture, FrameKey
from multiface.capture.store import check_codec
from multiface.core.errors import ArgumentError, CaptureError


@dataclass(frozen=True)
class PackSettings:
    """Options of :func:`pack_capture`.

    Attributes:
        segments: Segments to pack (whole names); all when empty.
        cameras: Cameras to pack; all of KRT when empty.
        texture_size: Side of the textures; None for that of the capture.
        photos: Whether photos are packed.
        photo_size: (height, width) of the photos; None for their own.
        texture_codec, average_codec, photo_codec: One of ``CODECS``.
        quality: Of lossy codecs, 1 to 100; None for each codec's usual one.
        shard_bytes: A shard is ended with the first frame that makes it this large.
    """

    segments: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    texture_size: int | None = None
    photos: bool = True
    photo_size: tuple[int, int] | None = None
    texture_codec: str = "lz4"
    average_codec: str = "lz4"
    photo_codec: str = "lz4"
    quality: int | None = None
    shard_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        for codec in (self.texture_codec, self.average_codec, self.photo_codec):
            check_codec(codec)
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ArgumentError("quality cannot be", expected="1 to 100", found=self.quality)
        for what, value in (("texture size", self.texture_size), ("photo size", min(self.photo_size or (1,)))):
            if value is not None and not 1 <= value <= 65535:
                raise ArgumentError(f"{what} cannot be", expected="1 to 65535", found=value)
        if self.shard_bytes < 1:
            raise ArgumentError("shards cannot be that small", expected="at least 1 byte", found=self.shard_bytes)

    def codec(self, kind: str) -> str:
        """Codec of ``"texture"``, ``"average"`` or ``"photo"``."""
        return {"texture": self.texture_codec, "average": self.average_codec, "photo": self.photo_codec}[kind]


@dataclass(frozen=True)
class PackPlan:
    """A capture, what of it is packed, and how.

    Attributes:
        capture: The capture.
        settings: The options.
        frames: Frames, in the order of the capture's list.
        cameras: Cameras, in KRT order.
        texture_size: Side of the packed textures; None when the capture has none.
    """

    capture: Capture
    settings: PackSettings
    frames: tuple[FrameKey, ...]
    cameras: tuple[str, ...]
    texture_size: int | None

    def identity(self) -> dict[str, Any]:
        """What has to be the same for an interrupted pack to go on."""
        content = [list(map(str, self.frames)), self.cameras, self.capture.layout.krt.read_bytes().hex()]
        return {
            "capture": self.capture.name,
            "settings": json.loads(json.dumps(asdict(self.settings))),
            "frames": len(self.frames),
            "cameras": len(self.cameras),
            "digest": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        }


def make_plan(capture: Capture, settings: PackSettings) -> PackPlan:
    """Settle what is packed.

    Raises:
        CaptureError: a segment or camera is not in the capture, or there is nothing to pack.
        ArgumentError: textures would become larger than they are.
    """
    _check("segments", settings.segments, tuple(capture.segments), capture)
    _check("cameras", settings.cameras, capture.calibrated, capture)
    frames = tuple(key for key in capture.frames if not settings.segments or key.segment in settings.segments)
    cameras = tuple(name for name in capture.calibrated if not settings.cameras or name in settings.cameras)
    there = capture.texture_size
    if settings.texture_size is not None and there is not None and settings.texture_size > there:
        raise ArgumentError(
            "textures cannot be packed larger than they are", expected=f"at most {there}", found=settings.texture_size
        )
    capture.read_listings(capture.segments, cameras, photos=settings.photos)
    if not any(capture.cameras_with_texture(key) or (settings.photos and capture.cameras_with_photo(key)) for key in frames):
        raise CaptureError(
            "there is nothing to pack: no pictures",
            where=capture.path,
            remedy=f"Make textures with: multiface unwrap {capture.path}",
        )
    return PackPlan(capture, settings, frames, cameras, None if there is None else settings.texture_size or there)


def _check(kind: str, wanted: Sequence[str], there: Sequence[str], capture: Capture) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        listed = ", ".join(there[:12]) + (f" and {len(there) - 12} more" if len(there) > 12 else "")
        raise CaptureError(f"the capture has no {kind} {', '.join(unknown)}", where=capture.path, expected=f"some of {listed}")
