"""A packed capture to train on as long as wanted: few pictures on the disk, listed again and again under other names."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from multiface.capture import (
    Camera,
    CaptureLayout,
    FrameKey,
    Statistics,
    Topology,
    write_frame_list,
    write_head_pose,
    write_image,
    write_krt,
    write_obj,
    write_statistics,
    write_vertices,
)
from multiface.prepare.pack.run import pack_capture
from multiface.prepare.pack.settings import PackSettings
from repeated_store import list_again

SEGMENT = "E001_Neutral_Eyes_Open"
PICTURES = 8
"""Different ones; a file of the same picture is a link to it."""
PACKED = 16
"""Frames on the disk."""
GRID = 84
"""Cells along a side of the mesh: 7,225 vertices, about as many as published."""


def write_store(folder: Path, views: int, *, tex_size: int, cameras: int = 16, grid: int = GRID) -> Path:
    """A store of at least ``views`` training views; LZ4 where that can be written, otherwise as it is (``raw``)."""
    codec = "lz4" if find_spec("lz4") else "raw"
    capture, store = folder / "capture", folder / f"packed-{codec}"
    frames = -(-views // cameras)
    write_capture(capture, min(PACKED, frames), tex_size, cameras, grid)
    pack_capture(capture, store, PackSettings(photos=False, texture_codec=codec, average_codec=codec))
    list_again(store, [FrameKey(SEGMENT, f"{number:06d}") for number in range(frames)])
    return store


def write_capture(root: Path, frames: int, tex_size: int, cameras: int, grid: int) -> None:
    """Pictures compress as faces do; no photos."""
    random = np.random.default_rng(0)
    topology, dome = _dome(grid)
    layout = CaptureLayout(root, tex_size)
    keys = [FrameKey(SEGMENT, f"{number:06d}") for number in range(frames)]
    names = [f"4000{number:02d}" for number in range(cameras)]
    write_krt(layout.krt, [_camera(name, angle) for name, angle in zip(names, np.linspace(-0.7, 0.7, cameras))])
    write_frame_list(layout.frame_list, keys)

    def picture() -> np.ndarray:
        smooth = cv2.resize(random.uniform(40, 200, (16, 16, 3)).astype(np.float32), (tex_size, tex_size))
        return np.clip(smooth + random.normal(0, 3, smooth.shape), 1, 255).astype(np.uint8)

    originals = [root / f"original-{number}.png" for number in range(PICTURES)]
    for path in originals:
        write_image(path, picture())
    write_obj(layout.mesh(keys[0]), dome, topology)
    for number, key in enumerate(keys):
        write_vertices(layout.vertices(key), dome + random.normal(0, 1, dome.shape).astype(np.float32))
        write_head_pose(layout.head_pose(key), np.column_stack([np.diag([1.0, -1.0, -1.0]), [0, 0, 1000.0]]))
        for place, file in enumerate([layout.average(key), *(layout.texture(key, name) for name in names)]):
            file.parent.mkdir(parents=True, exist_ok=True)
            os.link(originals[(number + place) % PICTURES], file)
    write_statistics(layout, Statistics(picture(), 400.0, dome, 9.0))


def _dome(grid: int) -> tuple[Topology, np.ndarray]:
    side = np.arange((grid + 1) ** 2).reshape(grid + 1, grid + 1)
    a, b, c, d = side[:-1, :-1], side[:-1, 1:], side[1:, 1:], side[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    v, u = np.meshgrid(np.linspace(0, 1, grid + 1), np.linspace(0, 1, grid + 1), indexing="ij")
    topology = Topology(faces=faces, uvs=np.stack([u, v], -1).reshape(-1, 2), uv_faces=faces)
    x, y = 2 * topology.uvs.T - 1
    return topology, np.stack([80 * x, 100 * y, 60 * (1 - 0.5 * (x * x + y * y))], -1).astype(np.float32)


def _camera(name: str, angle: float) -> Camera:
    K = np.array([[6000.0, 0, 667], [0, 6000.0, 1024], [0, 0, 1]])
    R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    centre = np.array([0, 0, 1000.0]) - 1000.0 * R[2]
    return Camera(name, K, np.column_stack([R, -R @ centre]), (2048, 1334))
