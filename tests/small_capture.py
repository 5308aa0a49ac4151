"""A tiny but complete and consistent capture for tests, written with the library's own writers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multiface.capture import (
    Camera,
    Capture,
    CaptureLayout,
    FrameKey,
    Statistics,
    Topology,
    write_audio,
    write_frame_list,
    write_head_pose,
    write_image,
    write_krt,
    write_obj,
    write_statistics,
    write_vertices,
)

SEGMENTS = {"E001_Neutral_Eyes_Open": 2, "SEN_a_voice": 2, "EXP_ROM07_Facial_Expressions": 2}
"""Segment -> number of frames; the last is a test segment by default."""

DISTANCE = 1000.0  # mm from every camera to the head


def grid_topology(n: int = 4) -> Topology:
    """A square sheet of n x n cells, two triangles each, counter-clockwise seen from +z; uv covers the unit square."""
    index = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    v, u = np.meshgrid(np.linspace(0, 1, n + 1), np.linspace(0, 1, n + 1), indexing="ij")
    return Topology(faces=faces, uvs=np.stack([u, v], -1).reshape(-1, 2), uv_faces=faces)


def dome(topology: Topology, bulge: float = 60.0) -> np.ndarray:
    """(V, 3) float32 positions of the sheet bent towards +z (mm): 160 wide, 200 high."""
    x, y = 2 * topology.uvs.T - 1
    return np.stack([80 * x, 100 * y, bulge * (1 - 0.5 * (x * x + y * y))], -1).astype(np.float32)


def arc_cameras(n: int, photo_size: tuple[int, int]) -> list[Camera]:
    """Cameras on a horizontal arc in front of a head that is at (0, 0, DISTANCE) in world space and looks along -z."""
    height, width = photo_size
    K = np.array([[3.0 * height, 0, width / 2], [0, 3.0 * height, height / 2], [0, 0, 1]])
    cameras = []
    for i, angle in enumerate(np.linspace(-0.5, 0.5, n) if n > 1 else [0.0]):
        R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        centre = np.array([0, 0, DISTANCE]) - DISTANCE * R[2]
        cameras.append(Camera(f"4000{i + 2:02d}", K, np.column_stack([R, -R @ centre]), photo_size))
    return cameras


def head_pose(turn: float) -> np.ndarray:
    """(3, 4) pose of the head, turned by ``turn`` radians about the vertical."""
    R = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    return np.column_stack([np.diag([1.0, -1.0, -1.0]) @ R, [0, 0, DISTANCE]])


def frame_keys(segments: dict[str, int]) -> list[FrameKey]:
    """Frames as the release numbers them: six digits, every third."""
    return [FrameKey(name, f"{102 + 3 * i:06d}") for name, count in segments.items() for i in range(count)]


def write_small_capture(
    root: Path,
    *,
    n_cameras: int = 3,
    segments: dict[str, int] | None = None,
    tex_size: int | None = 16,
    photo_size: tuple[int, int] = (24, 16),
    grid: int = 4,
    seed: int = 0,
) -> Capture:
    """Write a whole capture to ``root`` and return it. Nothing is wrong with it. ``tex_size`` None: photos and meshes only.

    Photos and textures are random; camera i cannot see a random tenth of the texels, where its texture is zero.
    """
    random = np.random.default_rng(seed)
    segments = SEGMENTS if segments is None else segments
    layout = CaptureLayout(root, tex_size or 1024)
    topology, cameras, keys = grid_topology(grid), arc_cameras(n_cameras, photo_size), frame_keys(segments)
    write_krt(layout.krt, cameras)
    write_frame_list(layout.frame_list, keys)
    meshes, textures = [], []
    for i, key in enumerate(keys):
        meshes.append(dome(topology, bulge=60 + 3 * i) + random.normal(0, 0.2, (len(topology.uvs), 3)).astype(np.float32))
        write_vertices(layout.vertices(key), meshes[-1])
        write_obj(layout.mesh(key), meshes[-1], topology)
        write_head_pose(layout.head_pose(key), head_pose(0.05 * i))
        for camera in cameras:
            write_image(layout.photo(key, camera.name), random.integers(0, 256, (*photo_size, 3), np.uint8))
        if tex_size:
            textures += _write_textures(layout, key, cameras, random)
    if textures:
        stack = np.stack(textures).astype(np.float64)
        mesh_stack = np.stack(meshes).astype(np.float64)
        mean, mesh_mean = stack.mean(0), mesh_stack.mean(0)
        statistics = Statistics(
            mean.round().astype(np.uint8),
            float(((stack - mean) ** 2).mean()),
            mesh_mean.astype(np.float32),
            float(((mesh_stack - mesh_mean) ** 2).mean()),
        )
        write_statistics(layout, statistics)
    for name in segments:
        if name.startswith("SEN_"):
            write_audio(layout.audio(name), random.integers(-999, 999, 800, np.int16), 8000)
    return Capture(root)


def _write_textures(layout: CaptureLayout, key: FrameKey, cameras: list[Camera], random) -> list[np.ndarray]:
    size = layout.texture_size
    base = random.integers(60, 200, (size, size, 3))
    textures = []
    for camera in cameras:
        texture = (base + random.integers(-20, 21, base.shape)).astype(np.uint8)
        texture[random.random((size, size)) < 0.1] = 0
        write_image(layout.texture(key, camera.name), texture)
        textures.append(texture)
    write_image(layout.average(key), base.astype(np.uint8))
    return textures
