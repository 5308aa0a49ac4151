"""What the renderer's benchmark renders: a frame of a capture, or the head of the virtual stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiface.capture import read_head_pose, read_image, read_krt, read_obj, read_vertices
from multiface.geometry import Topology, flip_rows, projection_matrix
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import sample_identity
from multiface.prepare.stage.paint import paint_head

FULL_SIZE = (2048, 1334)
TEXTURE = 1024
NOISE_MM = 0.2
"""Of the vertices, so that the items of a batch differ."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One item on the CPU.

    Attributes:
        name: What it is, for reports.
        vertices: (V, 3) float32 mm.
        projection: (3, 4) float32 to pixels of a picture of FULL_SIZE.
        topology: Triangles and uv.
        texture: (3, h, w) float32 0..1, row 0 at v = 0.
        photo: (H, W, 3) uint8 of FULL_SIZE.
        weight: (3, h, w) float32 0..1.
    """

    name: str
    vertices: torch.Tensor
    projection: torch.Tensor
    topology: Topology
    texture: torch.Tensor
    photo: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True, eq=False)
class Workload:
    """A batch on a device: vertices (B, V, 3), projection (B, 3, 4), texture (B, 3, h, w), photo (B, H, W, 3), weight."""

    vertices: torch.Tensor
    projection: torch.Tensor
    topology: Topology
    texture: torch.Tensor
    photo: torch.Tensor
    weight: torch.Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.photo.shape[1], self.photo.shape[2]

    def leaves(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return tuple(t.detach().requires_grad_() for t in (self.vertices, self.projection, self.texture))


def load_frame(folder: Path | None) -> Frame:
    """The frame in ``folder``, or the virtual stage's head where there is none."""
    return _stage_head() if folder is None or not (folder / "KRT").is_file() else _captured(folder)


def make_workload(frame: Frame, batch: int, size: tuple[int, int], device: str) -> Workload:
    """``frame`` so many times, with noise, projected into pictures of ``size`` (height, width)."""
    random = torch.Generator(device).manual_seed(0)

    def repeated(tensor: torch.Tensor, noise: float) -> torch.Tensor:
        many = tensor.to(device).expand(batch, *tensor.shape)
        return many + noise * torch.randn(many.shape, generator=random, device=device)

    scale = torch.tensor([size[1] / FULL_SIZE[1], size[0] / FULL_SIZE[0], 1.0])[:, None]
    photo = frame.photo.permute(2, 0, 1)[None].float()
    photo = torch.nn.functional.interpolate(photo, size=size, mode="area").round().byte()[0].permute(1, 2, 0)
    return Workload(
        repeated(frame.vertices, NOISE_MM), repeated(frame.projection * scale, 0.0), frame.topology,
        repeated(frame.texture, 0.01), photo.to(device).expand(batch, -1, -1, -1).contiguous(), frame.weight.to(device),
    )  # fmt: skip


def _captured(folder: Path) -> Frame:
    vertices = next(folder.glob("*.bin"))
    camera = read_krt(folder / "KRT")[(folder / "camera.txt").read_text().strip()]
    weight = _planes(flip_rows(read_image(folder / "loss_weight_mask.png")))
    return Frame(
        f"frame {vertices.stem} in {folder.name}",
        torch.from_numpy(read_vertices(vertices)),
        torch.from_numpy(projection_matrix(camera, read_head_pose(folder / f"{vertices.stem}_transform.txt"))),
        read_obj(folder / "face_topology.obj").topology,
        _planes(flip_rows(read_image(folder / f"{vertices.stem}_avgtex.png"))) / 255,
        torch.from_numpy(read_image(folder / f"{vertices.stem}.png").copy()),
        weight / weight.max(),
    )


def _stage_head() -> Frame:
    """From the front, as near as in a capture."""
    height, width = FULL_SIZE
    head = Head(sample_identity(1))
    points = torch.from_numpy(head.neutral).float()
    middle, extent = (points.amax(0) + points.amin(0)) / 2, points.amax(0) - points.amin(0)
    distance = 1000.0
    focal = 1.05 * max(width / float(extent[0]), height / float(extent[1])) * distance
    camera = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    pose = torch.tensor([[1.0, 0, 0, -middle[0]], [0, -1.0, 0, middle[1]], [0, 0, -1.0, distance + middle[2]]])
    random = torch.Generator().manual_seed(0)
    colour = torch.from_numpy(np.ascontiguousarray(paint_head(head, TEXTURE, 1).color)).float().permute(2, 0, 1)
    return Frame(
        "head of the virtual stage", points, camera @ pose, head.topology, colour.clamp(0, 1).contiguous(),
        torch.randint(0, 256, (height, width, 3), generator=random, dtype=torch.uint8),
        torch.rand(3, TEXTURE, TEXTURE, generator=random),
    )  # fmt: skip


def _planes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()
