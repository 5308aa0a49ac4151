"""Where each file of a capture is (docs/conventions.md, "The capture folder")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from multiface.capture.names import AVERAGE, FrameKey, is_safe_name
from multiface.core.errors import ArgumentError

DEFAULT_TEXTURE_SIZE = 1024
TEXTURE_FOLDER = re.compile(r"unwrapped_uv_([1-9]\d{0,4})")


@dataclass(frozen=True)
class CaptureLayout:
    """All paths of a capture; nothing is read and nothing needs to exist.

    Attributes:
        root: The capture folder.
        texture_size: T of the folder ``unwrapped_uv_<T>`` that textures are in.

    Every method raises :class:`ArgumentError` for a segment, frame or camera name that would lead out of its folder.
    """

    root: Path
    texture_size: int = DEFAULT_TEXTURE_SIZE

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if not 1 <= self.texture_size <= 99999:
            raise ArgumentError("texture size cannot be used", expected="1..99999", found=self.texture_size)

    @property
    def krt(self) -> Path:
        return self.root / "KRT"

    @property
    def frame_list(self) -> Path:
        return self.root / "frame_list.txt"

    @property
    def tex_mean(self) -> Path:
        return self.root / "tex_mean.png"

    @property
    def tex_var(self) -> Path:
        return self.root / "tex_var.txt"

    @property
    def vert_mean(self) -> Path:
        return self.root / "vert_mean.bin"

    @property
    def vert_var(self) -> Path:
        return self.root / "vert_var.txt"

    @property
    def photos(self) -> Path:
        """Folder of all photos."""
        return self.root / "images"

    @property
    def textures(self) -> Path:
        """Folder of all textures."""
        return self.root / f"unwrapped_uv_{self.texture_size}"

    @property
    def meshes(self) -> Path:
        """Folder of all meshes and head poses."""
        return self.root / "tracked_mesh"

    @property
    def sounds(self) -> Path:
        """Folder of all audio files."""
        return self.root / "audio"

    def photo(self, key: FrameKey, camera: str) -> Path:
        return self.photos / _safe(key[0]) / _safe(camera) / f"{_safe(key[1])}.png"

    def texture(self, key: FrameKey, camera: str) -> Path:
        """Texture seen by one camera; ``camera`` ``"average"`` for the average over the cameras."""
        return self.textures / _safe(key[0]) / _safe(camera) / f"{_safe(key[1])}.png"

    def average(self, key: FrameKey) -> Path:
        return self.texture(key, AVERAGE)

    def vertices(self, key: FrameKey) -> Path:
        return self.meshes / _safe(key[0]) / f"{_safe(key[1])}.bin"

    def mesh(self, key: FrameKey) -> Path:
        return self.meshes / _safe(key[0]) / f"{_safe(key[1])}.obj"

    def head_pose(self, key: FrameKey) -> Path:
        return self.meshes / _safe(key[0]) / f"{_safe(key[1])}_transform.txt"

    def audio(self, segment: str) -> Path:
        return self.sounds / f"{_safe(segment)}.wav"


def _safe(name: str) -> str:
    if not is_safe_name(name):
        raise ArgumentError(
            "this name cannot be part of a path in a capture",
            expected="a plain file name without / \\ : or control characters",
            found=repr(name),
        )
    return name
