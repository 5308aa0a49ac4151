"""How well the tracked mesh of one real frame with its average texture matches the photo.

    python benchmarks/real_frame.py [--shared DIR] [--backend NAME] [--picture FILE] [--json]

Rendered at the full 2048 x 1334 and compared as it is: no gain, no fitting. DIR/real holds the frame (research assets with a
licence of their own, not part of the repository).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiface.capture import read_head_pose, read_image, read_krt, read_obj, read_vertices, write_image
from multiface.evaluate.metrics import masked_psnr
from multiface.geometry import Topology, flip_rows, projection_matrix
from multiface.render import render_mesh

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
FRAME = "021924"
BACKGROUND = 20
"""A pixel of the photo shows the head when its largest channel is above this."""
TARGETS = {"psnr_db": 31.5, "iou": 0.96}


@dataclass(frozen=True)
class RealFrame:
    """Arguments of render_mesh, batch 1, texture 0..255, and the photo (H, W, 3) uint8."""

    vertices: torch.Tensor
    projection: torch.Tensor
    topology: Topology
    texture: torch.Tensor
    photo: np.ndarray


def load_real_frame(shared: Path, size: tuple[int, int] | None = None) -> RealFrame:
    """The frame in ``shared``/real, projected into pictures of ``size``; the photo stays as it is."""
    real = shared / "real"
    camera = read_krt(real / "KRT")[(real / "camera.txt").read_text().strip()]
    texture = flip_rows(read_image(real / f"{FRAME}_avgtex.png"))
    return RealFrame(
        torch.from_numpy(read_vertices(real / f"{FRAME}.bin"))[None],
        torch.from_numpy(projection_matrix(camera, read_head_pose(real / f"{FRAME}_transform.txt"), size))[None],
        read_obj(real / "face_topology.obj").topology,
        torch.from_numpy(texture).permute(2, 0, 1)[None].float().contiguous(),
        read_image(real / f"{FRAME}.png"),
    )


def compare_with_photo(frame: RealFrame, backend: str | None, picture: Path | None = None) -> dict[str, float]:
    """PSNR inside the rendered mask and IoU of the silhouettes; the picture is also written where asked."""
    height, width = frame.photo.shape[:2]
    result = render_mesh(frame.vertices, frame.projection, frame.topology, frame.texture, (height, width), backend=backend)
    if picture is not None:
        write_image(picture, result.image[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy())
    photo = torch.from_numpy(frame.photo.copy()).permute(2, 0, 1)[None].float()
    rendered, seen = result.triangle >= 0, photo.amax(1) > BACKGROUND
    return {
        "psnr_db": float(masked_psnr(result.image, photo, rendered)),
        "iou": float((rendered & seen).sum() / (rendered | seen).sum()),
        "coverage": float(rendered.float().mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--backend", default=None)
    parser.add_argument("--picture", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = compare_with_photo(load_real_frame(options.shared), options.backend, options.picture)
    print("| figure | measured | to reach |\n|---|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.4g} | {TARGETS.get(name, '')} |")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
