"""Reading the samples of one batch from disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from multiface.capture import AVERAGE, Capture, FrameKey
from multiface.core.errors import CaptureError, FormatError
from multiface.data.batch import Batch
from multiface.data.cache import ArrayCache
from multiface.data.index import Sample, Skipped
from multiface.geometry import Camera, projection_matrix, view_direction


class FrameArrays(NamedTuple):
    """What the views of a frame share."""

    average: np.ndarray
    vertices: np.ndarray
    head_pose: np.ndarray


class ViewArrays(NamedTuple):
    """What one camera saw of a frame."""

    texture: np.ndarray | None
    photo: np.ndarray | None


class SampleReader:
    """Reads batches of one capture; may be used by several threads.

    Args:
        capture: The capture.
        photo_size: (height, width) to which photos are resized; None when photos are not needed and not to be opened.
        need_texture: Whether camera textures are needed.
        cache_bytes: Memory for decoded pictures.
        drop_broken: Leave out samples whose files cannot be read, and report them; else raise.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        photo_size: tuple[int, int] | None,
        need_texture: bool = True,
        cache_bytes: int = 0,
        drop_broken: bool = True,
    ) -> None:
        self.capture = capture
        self.photo_size = photo_size
        self.need_texture = need_texture
        self.drop_broken = drop_broken
        self._cache = ArrayCache(cache_bytes)
        self._cameras = capture.cameras  # read once, here, since cached properties are not made for threads

    def read(self, samples: Sequence[Sample]) -> tuple[Batch | None, list[Skipped]]:
        """The batch of ``samples`` and what had to be left out of it; None when nothing is left.

        Raises:
            CaptureError, FormatError: a file is missing or broken, and broken samples are not to be dropped.
        """
        skipped: list[Skipped] = []
        frames: dict[FrameKey, FrameArrays | None] = {}
        kept: list[tuple[Sample, ViewArrays]] = []
        for sample in samples:
            if sample.key not in frames:
                frames[sample.key] = self._attempt(lambda key=sample.key: self._read_frame(key), sample, skipped)
            if frames[sample.key] is None:
                continue
            view = self._attempt(lambda sample=sample: self._read_view(sample), sample, skipped)
            if view is not None:
                kept.append((sample, view))
        used = {sample.key: frames[sample.key] for sample, _ in kept}
        return (self._assemble(used, kept) if kept else None), skipped  # type: ignore[arg-type]

    def _attempt(self, read: Callable, sample: Sample, skipped: list[Skipped]):
        try:
            return read()
        except (CaptureError, FormatError) as error:
            if not self.drop_broken:
                raise
            skipped.append(Skipped(error.where or str(sample), error.what))
            return None

    def _read_frame(self, key: FrameKey) -> FrameArrays:
        return FrameArrays(
            average=self._texture(key, AVERAGE),
            vertices=self._cache.get(("vertices", key), lambda: self.capture.vertices(key)),
            head_pose=self._cache.get(("pose", key), lambda: self.capture.head_pose(key)),
        )

    def _read_view(self, sample: Sample) -> ViewArrays:
        return ViewArrays(
            texture=self._texture(*sample) if self.need_texture else None,
            photo=self._photo(sample) if self.photo_size is not None else None,
        )

    def _texture(self, key: FrameKey, camera: str) -> np.ndarray:
        return self._cache.get(("texture", key, camera), lambda: self.capture.texture(key, camera))

    def _photo(self, sample: Sample) -> np.ndarray:
        return self._cache.get(("photo", *sample), lambda: self._decode_photo(sample))

    def _decode_photo(self, sample: Sample) -> np.ndarray:
        photo = self.capture.photo(*sample)
        expected = tuple(self._cameras[sample.camera].size)
        if photo.shape[:2] != expected:
            raise FormatError(
                "photo has another size than the camera's other photos",
                where=self.capture.layout.photo(*sample),
                expected=f"{expected[1]} x {expected[0]}",
                found=f"{photo.shape[1]} x {photo.shape[0]}",
            )
        return photo if self.photo_size is None else resize_photo(photo, self.photo_size)

    def _assemble(self, frames: dict[FrameKey, FrameArrays], views: list[tuple[Sample, ViewArrays]]) -> Batch:
        keys = list(frames)
        cameras = [self._cameras[sample.camera] for sample, _ in views]
        poses = [frames[sample.key].head_pose for sample, _ in views]
        return Batch(
            keys=tuple(keys),
            cameras=tuple(camera.name for camera in cameras),
            frame_of_view=torch.tensor([keys.index(sample.key) for sample, _ in views]),
            average=_stack([arrays.average for arrays in frames.values()]),
            vertices=_stack([arrays.vertices for arrays in frames.values()]),
            head_pose=_stack([arrays.head_pose.astype(np.float32) for arrays in frames.values()]),
            texture=_stack_optional([arrays.texture for _, arrays in views]),
            photo=_stack_optional([arrays.photo for _, arrays in views]),
            camera_index=torch.tensor([self.capture.camera_index(camera.name) for camera in cameras]),
            view=_stack([view_direction(camera.center, pose) for camera, pose in zip(cameras, poses)]),
            projection=_stack([self._projection(camera, pose) for camera, pose in zip(cameras, poses)]),
        )

    def _projection(self, camera: Camera, pose: np.ndarray) -> np.ndarray:
        return projection_matrix(camera, pose, self.photo_size)


def resize_photo(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 photo as a picture of ``size`` (height, width): area average when smaller, bilinear when larger."""
    if photo.shape[:2] == tuple(size):
        return photo
    smaller = size[0] <= photo.shape[0] and size[1] <= photo.shape[1]
    return cv2.resize(photo, (size[1], size[0]), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))


def _stack_optional(arrays: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    present = [array for array in arrays if array is not None]
    return _stack(present) if present else None
