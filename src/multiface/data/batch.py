"""A batch: views of frames, with what the views of a frame share stored once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from multiface.capture import FrameKey


@dataclass(frozen=True)
class Batch:
    """B views of F frames, F <= B. Pictures are bytes as in the files; normalising happens on the device.

    Attributes:
        keys: The F frames.
        cameras: The B camera names.
        frame_of_view: (B,) int64, position in ``keys`` of each view's frame.
        average: (F, T, T, 3) uint8 average textures, rows as in the file, zero where no camera saw.
        vertices: (F, V, 3) float32 meshes, head space, millimetres.
        head_pose: (F, 3, 4) float32 head -> world, millimetres.
        texture: (B, T, T, 3) uint8 camera textures, rows as in the file, zero where unseen; None when not asked for.
        photo: (B, H, W, 3) uint8 photos, linear camera values; None when not asked for.
        camera_index: (B,) int64, position of each camera in KRT.
        view: (B, 3) float32 unit vectors from the head origin to the camera, head space.
        projection: (B, 3, 4) float32, head space (mm) -> homogeneous pixels of ``photo`` (of the camera's native picture
            when there is no photo).
    """

    keys: tuple[FrameKey, ...]
    cameras: tuple[str, ...]
    frame_of_view: torch.Tensor
    average: torch.Tensor
    vertices: torch.Tensor
    head_pose: torch.Tensor
    texture: torch.Tensor | None
    photo: torch.Tensor | None
    camera_index: torch.Tensor
    view: torch.Tensor
    projection: torch.Tensor

    def __len__(self) -> int:
        """Number of views."""
        return len(self.cameras)

    @property
    def n_views(self) -> int:
        """B, also where cameras have no names."""
        return len(self.view)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.view.device

    @property
    def view_keys(self) -> tuple[FrameKey, ...]:
        """The frame of each of the B views."""
        return tuple(self.keys[position] for position in self.frame_of_view.tolist())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same with all tensors on ``device``; itself where they are there already."""
        wanted = torch.device(device)
        if wanted.type == "cuda" and wanted.index is None:
            wanted = torch.device("cuda", torch.cuda.current_device())
        if self.device == wanted:
            return self
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved = {name: x.to(device, non_blocking=non_blocking) for name, x in values if isinstance(x, torch.Tensor)}
        return replace(self, **moved)
