"""Checks of what callers hand to a model: cheap ones, on shapes and types, before any arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor

from multiface.core.errors import ArgumentError
from multiface.models.info import ModelInfo


def check_frames(info: ModelInfo, avg_tex: Tensor, verts: Tensor) -> None:
    """Average textures (F, 3, T, T) and vertices (F, V, 3) of this model's sizes."""
    size, n_vertices = info.tex_size, info.mesh_inp_size // 3
    if avg_tex.ndim != 4 or tuple(avg_tex.shape[1:]) != (3, size, size):
        raise ArgumentError("avg_tex has the wrong shape", expected=f"(F, 3, {size}, {size})", found=tuple(avg_tex.shape))
    if verts.ndim != 3 or tuple(verts.shape[1:]) != (n_vertices, 3):
        raise ArgumentError("verts has the wrong shape", expected=f"(F, {n_vertices}, 3)", found=tuple(verts.shape))
    if avg_tex.shape[0] != verts.shape[0]:
        raise ArgumentError(
            "avg_tex and verts hold different numbers of frames", expected=avg_tex.shape[0], found=verts.shape[0]
        )
    for name, tensor in (("avg_tex", avg_tex), ("verts", verts)):
        _check_floating(name, tensor)


def check_views(view: Tensor, n_frames: int, frame_of_view: Tensor | None) -> None:
    """View directions (B, 3), and the frame of each view where frames are shared."""
    if view.ndim != 2 or view.shape[1] != 3:
        raise ArgumentError("view has the wrong shape", expected="(B, 3)", found=tuple(view.shape))
    if frame_of_view is None:
        if view.shape[0] != n_frames:
            raise ArgumentError(
                "there is not one frame per view",
                expected=f"{view.shape[0]} rows of avg_tex and verts",
                found=n_frames,
                remedy="Pass frame_of_view when several views share a frame",
            )
        return
    check_indices("frame_of_view", frame_of_view, view.shape[0], n_frames)


def check_latent(info: ModelInfo, z: Tensor, view: Tensor) -> None:
    """Latent codes (B, Z) and view directions (B, 3)."""
    if z.ndim != 2 or z.shape[1] != info.nlatent:
        raise ArgumentError("z has the wrong shape", expected=f"(B, {info.nlatent})", found=tuple(z.shape))
    if tuple(view.shape) != (z.shape[0], 3):
        raise ArgumentError("view has the wrong shape", expected=(z.shape[0], 3), found=tuple(view.shape))
    for name, tensor in (("z", z), ("view", view)):
        _check_floating(name, tensor)


def check_camera_indices(cams: Tensor, n_views: int, n_cams: int) -> None:
    """Camera indices (B,) into a colour correction of ``n_cams`` cameras."""
    check_indices("cams", cams, n_views, n_cams)


def check_indices(name: str, indices: Tensor, count: int, limit: int) -> None:
    """``count`` integers in 0..limit-1; their values are looked at on the CPU only, since elsewhere that would wait."""
    if tuple(indices.shape) != (count,):
        raise ArgumentError(f"{name} has the wrong shape", expected=(count,), found=tuple(indices.shape))
    if indices.dtype not in (torch.int64, torch.int32):
        raise ArgumentError(f"{name} must hold integers", expected="int64", found=str(indices.dtype).removeprefix("torch."))
    if indices.device.type != "cpu" or count == 0 or torch.compiler.is_compiling():
        return
    lowest, highest = (int(value) for value in torch.aminmax(indices))
    if lowest < 0 or highest >= limit:
        raise ArgumentError(f"{name} is out of range", expected=f"0 to {limit - 1}", found=f"{lowest} to {highest}")


def _check_floating(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        raise ArgumentError(f"{name} must be floating point and normalised", found=str(tensor.dtype).removeprefix("torch."))
