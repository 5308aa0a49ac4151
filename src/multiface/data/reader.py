"""Reading one picture, mesh or pose of a batch into the batch's memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np

from multiface.capture import AVERAGE, Capture, FrameKey
from multiface.capture.resize import resize_photo
from multiface.capture.unfinished import Unfinished
from multiface.core.errors import CaptureError, FormatError
from multiface.data.block import BatchShape
from multiface.data.buffers import BatchBuffers
from multiface.data.cache import ArrayCache
from multiface.data.index import Sample, Skipped
from multiface.geometry import view_direction
from multiface.geometry.projection import compose_projection

Decode = Callable[[np.ndarray, "Unfinished | None"], None]
"""Decodes a picture into an array, all the way unless it is told that it need not."""

_SMALL = 256 << 20
"""Memory for meshes and poses, which are small and slow to read for their size."""


class SampleReader:
    """Reads parts of batches of one capture; may be used by several threads.

    Args:
        capture: The capture.
        photo_size: (height, width) to which photos are resized; None when photos are not needed and not to be opened.
        need_texture: Whether camera textures are needed.
        cache_bytes: Memory for decoded pictures.
        frame_cache_bytes: Memory for meshes and poses; as much, up to a quarter of a gigabyte, when absent.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        photo_size: tuple[int, int] | None,
        need_texture: bool = True,
        cache_bytes: int = 0,
        frame_cache_bytes: int | None = None,
    ) -> None:
        self.capture = capture
        self.photo_size = photo_size
        self.need_texture = need_texture
        self._pictures = ArrayCache(cache_bytes)
        self._frames = ArrayCache(min(cache_bytes, _SMALL) if frame_cache_bytes is None else frame_cache_bytes)
        self._cameras = capture.cameras  # read once, here, since cached properties are not made for threads
        cameras = [c if photo_size is None else c.resized(photo_size) for c in self._cameras.values()]
        self._rows = {camera.name: row for row, camera in enumerate(cameras)}
        self._K, self._Rt = (np.array([getattr(camera, name) for camera in cameras], np.float64) for name in ("K", "Rt"))
        self._centres = np.array([camera.center for camera in cameras])
        self._camera_indices = np.array([capture.camera_index(camera.name) for camera in cameras])

    def shape(self, views: int, frames: int, filtered: bool = False, jpeg: bool = False) -> BatchShape:
        """Sizes of the arrays of a batch; ``filtered``, ``jpeg``: PNG rows, JPEG may be left to the device."""
        capture = self.capture
        size, vertices = capture.layout.texture_size, capture.n_vertices
        return BatchShape(views, frames, size, vertices, self.photo_size, self.need_texture, filtered, jpeg)

    def decoded_bytes(self, frames: int, views: int) -> int:
        """Of the pictures of so many frames and views."""
        texture = 3 * self.capture.layout.texture_size**2
        photo = 0 if self.photo_size is None else 3 * math.prod(self.photo_size)
        return frames * texture + views * (photo + (texture if self.need_texture else 0))

    def read_frame(self, key: FrameKey, buffers: BatchBuffers, frame: int) -> Skipped | None:
        """Read what the views of a frame share to place ``frame``; the file that cannot be read, if there is one."""
        arrays, capture = buffers.arrays, self.capture
        try:
            self._frames.fill(("vertices", key), arrays["vertices"][frame], lambda out: _set(out, capture.vertices(key)))
            self._frames.fill(("pose", key), arrays["head_pose"][frame], lambda out: _set(out, capture.head_pose(key)))
            self._texture(key, AVERAGE, buffers, "average", frame)
        except (CaptureError, FormatError) as error:
            return _skipped(error, str(key))
        return None

    def read_view(self, sample: Sample, buffers: BatchBuffers, view: int) -> Skipped | None:
        """Read what one camera saw to place ``view``; the file that cannot be read, if there is one."""
        try:
            if self.need_texture:
                self._texture(*sample, buffers, "texture", view)
            if self.photo_size is not None:
                self._picture(("photo", *sample), buffers, "photo", view, partial(self._decode_photo, sample))
        except (CaptureError, FormatError) as error:
            return _skipped(error, str(sample))
        return None

    def place_views(self, samples: Sequence[Sample], keys: Sequence[FrameKey], buffers: BatchBuffers) -> None:
        """Fill the arrays that say from where each view looks, once the frames' poses are there."""
        arrays, places, views = buffers.arrays, {key: place for place, key in enumerate(keys)}, len(samples)
        frames = np.array([places[sample.key] for sample in samples])
        rows = np.array([self._rows[sample.camera] for sample in samples])
        poses = np.stack([self._pose(key) for key in keys])[frames]
        arrays["frame_of_view"][:views] = frames
        arrays["camera_index"][:views] = self._camera_indices[rows]
        arrays["view"][:views] = view_direction(self._centres[rows], poses)
        arrays["projection"][:views] = compose_projection(self._K[rows], self._Rt[rows], poses)

    def _pose(self, key: FrameKey) -> np.ndarray:
        """Float64, as calibration wants it; the batch's own is rounded."""
        pose = np.empty((3, 4))
        self._frames.fill(("exact pose", key), pose, lambda out: _set(out, self.capture.head_pose(key)))
        return pose

    def _texture(self, key: FrameKey, camera: str, buffers: BatchBuffers, kind: str, place: int) -> None:
        def decode(out: np.ndarray, unfinished: Unfinished | None) -> None:
            _set(out, self.capture.texture(key, camera, out, unfinished))

        self._picture(("texture", key, camera), buffers, kind, place, decode)

    def _picture(self, key: Hashable, buffers: BatchBuffers, kind: str, place: int, decode: Decode) -> None:
        """Pixels, from memory if they are kept there; unfinished where that is enough and nothing is to be kept."""
        out, unfinished = buffers.arrays[kind][place], buffers.unfinished(kind, place)
        if unfinished is not None:
            unfinished.clear()
            if not self._pictures.keeps(key, out.nbytes):
                decode(out, unfinished)
                return
        self._pictures.fill(key, out, lambda out: decode(out, None))

    def _decode_photo(self, sample: Sample, out: np.ndarray, unfinished: Unfinished | None) -> None:
        expected = tuple(self._cameras[sample.camera].size)
        fits = out.shape[:2] == expected
        photo = self.capture.photo(*sample, out if fits else None, unfinished if fits else None)
        if photo.shape[:2] != expected:
            raise FormatError(
                "photo has another size than the camera's other photos",
                where=self.capture.layout.photo(*sample),
                expected=f"{expected[1]} x {expected[0]}",
                found=f"{photo.shape[1]} x {photo.shape[0]}",
            )
        if photo is not out:
            resize_photo(photo, (out.shape[0], out.shape[1]), out)


def _set(out: np.ndarray, values: np.ndarray) -> None:
    if values is not out:
        out[...] = values


def _skipped(error: CaptureError | FormatError, otherwise: str) -> Skipped:
    return Skipped(error.where or otherwise, error.reason)
