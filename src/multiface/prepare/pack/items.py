"""From files of a capture to packed entries: what threads do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from multiface.capture import AVERAGE, FrameKey
from multiface.capture.inflate import crc32
from multiface.capture.resize import resample_texture, resize_photo
from multiface.capture.store import LOSSY
from multiface.capture.store.codecs import decode, encode, pack_zeros, restore_zeros
from multiface.capture.store.index import Name
from multiface.core.errors import CaptureError, FormatError
from multiface.prepare.capture import LeftOut
from multiface.prepare.pack.settings import PackPlan

_WORTH_UNPACKING = 0.8
"""Pictures that LZ4 makes hardly smaller are kept as they are: unpacking costs more than reading a few bytes more."""


class Item(NamedTuple):
    """A piece of work: what the views of a frame share (camera None), or one view."""

    key: FrameKey
    camera: str | None


class Packed(NamedTuple):
    """One entry, ready to be written."""

    name: Name
    codec: str
    payload: bytes
    zeros: bytes
    crc: int
    height: int
    width: int


@dataclass
class ItemResult:
    """Entries of one item, files left out, and the PSNR (dB) of what lossy codecs changed, by kind."""

    item: Item
    entries: list[Packed] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)
    psnr: list[tuple[str, float]] = field(default_factory=list)


class ItemPacker:
    """Packs items of one plan, in any thread."""

    def __init__(self, plan: PackPlan) -> None:
        self.plan = plan
        size = plan.capture.texture_size
        resized = size is not None and plan.texture_size != size
        needs_mean = resized or any(plan.settings.codec(kind) in LOSSY for kind in ("texture", "average"))
        there = resized or plan.capture.layout.tex_mean.is_file()
        self._mean = plan.capture.statistics.tex_mean if needs_mean and there else None
        # What lossy codecs see in holes, so that no edge of a hole costs bytes or blurs into what was seen.
        self._fill = None if self._mean is None else resample_texture(self._mean, self._mean, plan.texture_size or size or 1)
        self._sizes = {name: tuple(camera.size) for name, camera in plan.capture.cameras.items()}

    def items(self, frames: list[FrameKey]) -> Iterator[Item]:
        """The work of these frames, frame by frame."""
        capture = self.plan.capture
        for key in frames:
            yield Item(key, None)
            there = capture.cameras_with_texture(key)
            there |= capture.cameras_with_photo(key) if self.plan.settings.photos else frozenset()
            yield from (Item(key, camera) for camera in self.plan.cameras if camera in there)

    def pack(self, item: Item) -> ItemResult:
        """Read and pack one item; broken files are named in the result."""
        result, (key, camera), capture = ItemResult(item), item, self.plan.capture
        if camera is None:
            self._try(result, lambda: self._array(Name("mesh", key, ""), capture.vertices(key)))
            self._try(result, lambda: self._array(Name("pose", key, ""), capture.head_pose(key)))
            if capture.has_texture(key, AVERAGE):
                self._try(result, lambda: self._texture(result, key, AVERAGE, "average"))
            return result
        if capture.has_texture(key, camera):
            self._try(result, lambda: self._texture(result, key, camera, "texture"))
        if self.plan.settings.photos and capture.has_photo(key, camera):
            self._try(result, lambda: self._photo(result, key, camera))
        return result

    def _try(self, result: ItemResult, make: Callable[[], Packed]) -> None:
        try:
            result.entries.append(make())
        except (CaptureError, FormatError) as error:
            result.skipped.append(LeftOut(error.where or str(result.item.key), error.what))

    def _array(self, name: Name, values: np.ndarray) -> Packed:
        payload = encode(values, "raw")
        return Packed(name, "raw", payload, b"", crc32(payload), len(values), values.shape[1])

    def _texture(self, result: ItemResult, key: FrameKey, camera: str, kind: str) -> Packed:
        pixels = self.plan.capture.texture(key, camera)
        if self.plan.texture_size is not None and len(pixels) != self.plan.texture_size and self._mean is not None:
            pixels = resample_texture(pixels, self._mean, self.plan.texture_size)
        return self._picture(result, Name("texture", key, camera), pixels, kind)

    def _photo(self, result: ItemResult, key: FrameKey, camera: str) -> Packed:
        photo = self.plan.capture.photo(key, camera)
        if photo.shape[:2] != self._sizes[camera]:
            raise FormatError(
                "photo has another size than the camera's other photos", where=self.plan.capture.layout.photo(key, camera)
            )
        if self.plan.settings.photo_size is not None:
            photo = resize_photo(photo, self.plan.settings.photo_size)
        return self._picture(result, Name("photo", key, camera), photo, "photo")

    def _picture(self, result: ItemResult, name: Name, pixels: np.ndarray, kind: str) -> Packed:
        codec = self.plan.settings.codec(kind)
        zeros = b""
        if codec in LOSSY:
            filled = pixels
            if kind != "photo":
                zeros = pack_zeros(pixels)
                if self._fill is not None and self._fill.shape == pixels.shape:
                    filled = np.where(pixels == 0, self._fill, pixels)
            payload = encode(filled, codec, self.plan.settings.quality)
            result.psnr.append((kind, _psnr(payload, zeros, codec, pixels)))
        else:
            payload = encode(pixels, codec)
            if codec == "lz4" and len(payload) > _WORTH_UNPACKING * pixels.nbytes:
                codec, payload = "raw", encode(pixels, "raw")
        crc = crc32(zeros, crc32(payload)) if zeros else crc32(payload)
        return Packed(name, codec, payload, zeros, crc, *pixels.shape[:2])


def _psnr(payload: bytes, zeros: bytes, codec: str, pixels: np.ndarray) -> float:
    """PSNR (dB, of 255, at most 100) where the picture is not exactly zero, of textures; everywhere, of photos."""
    got = np.empty_like(pixels)
    decode(payload, codec, got)
    if zeros:
        restore_zeros(zeros, got)
    difference = got.astype(np.int16) - pixels
    counted = int(np.count_nonzero(pixels)) if zeros else pixels.size
    squares = float(np.einsum("ijk,ijk->", difference, difference, dtype=np.float64))
    return 100.0 if squares == 0 else min(100.0, 10 * math.log10(255**2 * counted / squares))
