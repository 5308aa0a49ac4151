"""Find the head pose of the real frame from its silhouette alone, from 5 degrees and 10 mm away.

    python benchmarks/silhouette_pose.py [FOLDER] [--starts N] [--cameras N] [--pictures DIR] [--backend NAME] [--json]

FOLDER holds the frame (research assets with a licence of their own, not part of the repository). What is matched is the mask of
the mesh, rendered with a texture of ones and silhouette gradients, nothing else. Targets:

* ``rendered``: the silhouette of the mesh at the pose in FOLDER, rendered at full size and averaged down;
* ``several``: the same in as many cameras as --cameras says, far apart in direction, one pose for all;
* ``photo``: the photo's own mask, what is not dark background. It holds a head rest, and hair and ears differ from the mesh;
  the pose in FOLDER was fitted to texture. The error measures all of that.
* ``photo, upper part``: the same with the rows above the head rest only.

Errors are against the pose in FOLDER: rotation in degrees; translation of the head's centre in mm, in the picture plane of the
photo's camera and along its axis. All starts are fitted at once.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from multiface.capture import read_head_pose, read_image, read_krt, read_obj, read_vertices, write_image
from multiface.geometry import Camera, Topology, projection_matrix
from multiface.render import render_mesh
from real_frame import BACKGROUND, FRAME, SHARED

FULL_SIZE = (2048, 1334)
LEVELS = ((128, 84), (256, 167), (512, 334))
"""(height, width) of the pictures, from coarse to fine."""
STEPS = (50, 40, 40)
RATES = (1.0, 0.3, 0.1)
"""Of Adam at the start of each level, in mm; at the end a fifth of it."""
BLUR = (2.0, 2.0, 1.5)
"""Standard deviation in pixels of what is compared."""
ARM = 100.0
"""Millimetres that a rotation of 1 radian counts as."""
TURN, MOVE = 5.0, 10.0
"""Degrees and millimetres of the starts."""
UPPER_PART = 1500 / 2048
"""Of the photo's rows; below there is the head rest."""


@dataclass(frozen=True)
class Frame:
    """The mesh (1, V, 3), its centre, where it is seen from, and axes (3, 3) of the photo's camera in head space, as rows."""

    vertices: torch.Tensor
    centre: torch.Tensor
    topology: Topology
    cameras: list[Camera]
    head_pose: np.ndarray
    axes: torch.Tensor
    photo: np.ndarray

    def projections(self, count: int, size: tuple[int, int]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(projection_matrix(c, self.head_pose, size)) for c in self.cameras[:count]])


def load_frame(folder: Path) -> Frame:
    """The photo's camera comes first, then those farthest in direction from all before."""
    vertices, topology = (
        torch.from_numpy(read_vertices(folder / f"{FRAME}.bin")),
        read_obj(folder / "face_topology.obj").topology,
    )
    cameras, head_pose = read_krt(folder / "KRT"), read_head_pose(folder / f"{FRAME}_transform.txt")
    ordered = [cameras.pop((folder / "camera.txt").read_text().strip())]
    ways = {name: _direction(camera, head_pose) for name, camera in cameras.items()}
    seen = [_direction(ordered[0], head_pose)]
    while ways:
        name = min(ways, key=lambda name: max(float(ways[name] @ other) for other in seen))
        seen.append(ways.pop(name))
        ordered.append(cameras[name])
    axes = torch.from_numpy(ordered[0].Rt[:, :3] @ head_pose[:, :3]).float()
    centre = vertices[np.unique(topology.faces)].mean(0)
    return Frame(vertices[None], centre, topology, ordered, head_pose, axes, read_image(folder / f"{FRAME}.png"))


def _direction(camera: Camera, head_pose: np.ndarray) -> np.ndarray:
    way = camera.center - head_pose[:, 3]
    return way / np.linalg.norm(way)


def photo_mask(photo: np.ndarray) -> np.ndarray:
    """(H, W) float32: 1 but for the dark region that touches the border of the picture; pupils and nostrils are no holes."""
    dark = (photo.max(-1) <= BACKGROUND).astype(np.uint8)
    _, region = cv2.connectedComponents(dark, connectivity=4)
    border = np.unique(np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]]))
    return 1 - (np.isin(region, border[border > 0]) & (dark > 0)).astype(np.float32)


def rotation(vector: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) rotations by vectors (N, 3) in radians."""
    zero, (x, y, z) = torch.zeros_like(vector[:, 0]), vector.unbind(-1)
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3))


def posed(frame: Frame, pose: torch.Tensor) -> torch.Tensor:
    """(N, V, 3) vertices turned by pose[:, :3] / ARM about the centre, moved by pose[:, 3:], in axes of the photo's camera."""
    turn = frame.axes.T @ rotation(pose[:, :3] / ARM) @ frame.axes
    return (frame.vertices - frame.centre) @ turn.mT + frame.centre + (pose[:, None, 3:] @ frame.axes)


def coverage(frame: Frame, pose: torch.Tensor, projections: torch.Tensor, size, backend, silhouettes=True) -> torch.Tensor:
    """(N, M, H, W) masks at poses (N, 6) under projections (M, 3, 4)."""
    count = len(projections)
    vertices, ones = posed(frame, pose).repeat_interleave(count, 0), torch.ones(1, 1, 1, 1)
    image = render_mesh(
        vertices, projections.repeat(len(pose), 1, 1), frame.topology, ones, size,
        backend=backend, silhouette_gradients=silhouettes,
    ).image  # fmt: skip
    return image.reshape(len(pose), count, *size)


def pull_of(difference: torch.Tensor, deviation: float) -> torch.Tensor:
    """Half the gradient of the summed square of pictures (..., H, W) convolved with a Gaussian: convolved with it twice."""
    flat = difference.reshape(-1, *difference.shape[-2:]).numpy()
    twice = [cv2.GaussianBlur(p, (0, 0), deviation * math.sqrt(2), borderType=cv2.BORDER_CONSTANT) for p in flat]
    return torch.from_numpy(np.stack(twice)).reshape(difference.shape)


def starts(count: int, seed: int = 0) -> torch.Tensor:
    """(count, 6) poses: TURN degrees about random axes, MOVE millimetres in random directions."""
    ways = torch.nn.functional.normalize(torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(seed)), dim=-1)
    return torch.cat([ways[:, 0] * math.radians(TURN) * ARM, ways[:, 1] * MOVE], -1)


def fit(
    frame: Frame, wanted: torch.Tensor, start: torch.Tensor, backend=None, levels=LEVELS, rows: float = 1.0, silhouettes=True
) -> torch.Tensor:
    """(N, 6) poses from starts (N, 6) whose masks match ``wanted`` (M, H, W) in as many cameras, in this part of the rows."""
    pose = start.clone().requires_grad_()
    for size, steps, rate, blur in zip(levels, STEPS, RATES, BLUR):
        averaged = [cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA) for mask in wanted.numpy()]
        target = torch.from_numpy(np.stack(averaged))
        projections = frame.projections(len(wanted), size)
        optimiser = torch.optim.Adam([pose], lr=rate, betas=(0.8, 0.95))
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.2 ** (1 / steps))
        for _ in range(steps):
            optimiser.zero_grad()
            mask = coverage(frame, pose, projections, size, backend, silhouettes)
            difference = mask.detach() - target
            difference[..., round(size[0] * rows) :, :] = 0
            mask.backward(pull_of(difference, blur))
            optimiser.step()
            schedule.step()
    return pose.detach()


def errors(frame: Frame, pose: torch.Tensor, wanted: torch.Tensor, backend=None) -> dict[str, list[float]]:
    """Of each pose: rotation, translation in the picture and in depth, and the overlap of masks at full size, first camera."""
    masks = torch.cat([coverage(frame, p[None], frame.projections(1, FULL_SIZE), FULL_SIZE, backend)[:, 0] for p in pose]) > 0.5
    target = wanted[0] > 0.5
    overlap = (masks & target).sum((1, 2)) / (masks | target).sum((1, 2))
    return {
        "rotation_degrees": [math.degrees(float(r.norm()) / ARM) for r in pose[:, :3]],
        "in_plane_mm": [float(t[:2].norm()) for t in pose[:, 3:]],
        "depth_mm": [abs(float(t[2])) for t in pose[:, 3:]],
        "iou": overlap.tolist(),
    }


def masks_at_full_size(frame: Frame, count: int, backend=None) -> torch.Tensor:
    """(count, H, W) silhouettes of the mesh at the pose in the folder."""
    with torch.no_grad():
        return coverage(frame, torch.zeros(1, 6), frame.projections(count, FULL_SIZE), FULL_SIZE, backend)[0]


def write_overlays(
    folder: Path, name: str, frame: Frame, wanted: torch.Tensor, poses: dict[str, torch.Tensor], backend
) -> None:
    """The first start: red where only the fit is, green where only the target is, over the photo."""
    for moment, pose in poses.items():
        mask = coverage(frame, pose[:1], frame.projections(1, FULL_SIZE), FULL_SIZE, backend)[0, 0].numpy() > 0.5
        target, picture = wanted[0].numpy() > 0.5, np.minimum(frame.photo.astype(np.float32) * 1.5, 160)
        picture[mask & ~target] = (255, 40, 40)
        picture[target & ~mask] = (40, 255, 40)
        write_image(folder / f"{name}_{moment}.png", np.ascontiguousarray(picture[::2, ::2].astype(np.uint8)))


def report(name: str, moment: str, found: dict[str, list[float]]) -> None:
    cells = [f"{np.median(v):.4g} ({min(v) if key == 'iou' else max(v):.4g})" for key, v in found.items()]
    print(f"| {name} | {moment} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=SHARED / "real")
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--pictures", type=Path, default=None)
    parser.add_argument("--backend", default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    frame, begin = load_frame(options.folder), starts(options.starts)
    several = masks_at_full_size(frame, options.cameras, options.backend)
    photo = torch.from_numpy(photo_mask(frame.photo))[None]
    targets = {"rendered": several[:1], "several": several, "photo": photo, "photo, upper part": photo}
    figures = {}
    print("median (worst) of the starts\n")
    print("| target | | rotation, degrees | in plane, mm | depth, mm | IoU |\n|---|---|---|---|---|---|")
    for name, wanted in targets.items():
        before, began = errors(frame, begin, wanted, options.backend), time.perf_counter()
        rows = UPPER_PART if "upper" in name else 1.0
        pose = fit(frame, wanted, begin, options.backend, rows=rows)
        seconds, after = time.perf_counter() - began, errors(frame, pose, wanted, options.backend)
        figures[name] = {"before": before, "after": after, "seconds": seconds}
        report(name, "start", before)
        report(name, f"end, {seconds:.0f} s", after)
        if options.pictures is not None:
            file = name.replace(", ", "_").replace(" ", "_")
            write_overlays(options.pictures, file, frame, wanted, {"start": begin, "end": pose}, options.backend)
    unmoved = fit(frame, several[:1], begin[:1], options.backend, LEVELS[:1], silhouettes=False)
    print(f"\nWithout silhouette gradients the pose moves by {float((unmoved - begin[:1]).abs().max()):.3g}.")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
