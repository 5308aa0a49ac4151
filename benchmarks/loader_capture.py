"""Captures to time the loader on: full-size files of one frame, linked under the names of many."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from multiface.capture import (
    AVERAGE,
    Camera,
    Capture,
    CaptureLayout,
    FrameKey,
    Statistics,
    read_head_pose,
    read_image,
    read_krt,
    read_obj,
    read_vertices,
    write_frame_list,
    write_head_pose,
    write_krt,
    write_obj,
    write_statistics,
    write_vertices,
)
from multiface.prepare.stage import write_capture
from multiface.prepare.stage.config import StageConfig

SIZE = (2048, 1334)
TEXTURE = 1024
_SEGMENT = "SEN_benchmark"
_TEST_SEGMENT = "EXP_ROM_benchmark"


def write_capture_of_copies(out: Path, real: Path | None, *, frames: int, cameras: int) -> Capture:
    """``frames`` frames of ``cameras`` cameras, textures 1024 x 1024, photos 2048 x 1334; all frames and cameras alike.

    Args:
        out: Folder to make.
        real: Folder with the files of one real frame; without it, one frame of the virtual stage is filmed.
        frames: Frames in a training segment; a test segment of one frame comes on top.
        cameras: Cameras.
    """
    source = real_frame_capture(real, out / "source") if real is not None else _stage_source(out / "source")
    return copies_of(source, out / "m--20260101--0000--0000001--GHS", frames=frames, cameras=cameras)


def copies_of(source: Capture, out: Path, *, frames: int, cameras: int) -> Capture:
    """The same from a capture whose first frame and camera are taken."""
    first, filmed = source.frames[0], next(iter(source.cameras.values()))
    layout = CaptureLayout(out, TEXTURE)
    copies, keys = [replace(filmed, name=f"{400000 + i}") for i in range(cameras)], frame_keys(frames)
    write_krt(layout.krt, copies)
    write_frame_list(layout.frame_list, keys)
    write_obj(layout.mesh(keys[0]), source.vertices(first), source.topology)
    average = read_image(source.layout.average(first))
    write_statistics(layout, Statistics(average, 400.0, source.vertices(first), 9.0))
    for key in keys:
        _link(source.layout.vertices(first), layout.vertices(key))
        _link(source.layout.head_pose(first), layout.head_pose(key))
        _link(source.layout.average(first), layout.average(key))
        for camera in copies:
            _link(source.layout.texture(first, filmed.name), layout.texture(key, camera.name))
            _link(source.layout.photo(first, filmed.name), layout.photo(key, camera.name))
    return Capture(layout.root)


def frame_keys(frames: int) -> list[FrameKey]:
    """Those of the training segment, and one of a test segment."""
    return [*(FrameKey(_SEGMENT, f"{i:06d}") for i in range(frames)), FrameKey(_TEST_SEGMENT, "000000")]


def real_frame_capture(real: Path, out: Path) -> Capture:
    """A capture of one frame and one camera, from the folder of a real frame; no statistics."""
    key = FrameKey("E057_Cheeks_Puffed", "021924")
    layout = CaptureLayout(out, TEXTURE)
    camera = read_krt(real / "KRT")[(real / "camera.txt").read_text().strip()]
    mesh, topology = read_vertices(real / "021924.bin"), read_obj(real / "face_topology.obj").topology
    write_krt(layout.krt, [camera])
    write_frame_list(layout.frame_list, [key])
    write_vertices(layout.vertices(key), mesh)
    write_obj(layout.mesh(key), mesh, topology)
    write_head_pose(layout.head_pose(key), read_head_pose(real / "021924_transform.txt"))
    _copy(real / "021924.png", layout.photo(key, camera.name))
    for name in (AVERAGE, camera.name):
        _copy(real / "021924_avgtex.png", layout.texture(key, name))
    return Capture(out)


def _stage_source(out: Path) -> Capture:
    write_capture(StageConfig(segments=2, frames_per_segment=1, n_cameras=1, image_size=SIZE, tex_size=TEXTURE), out)
    return Capture(out)


def write_many_files(out: Path, *, files: int, cameras: int = 39, frames_per_segment: int = 128) -> Path:
    """A capture folder of about ``files`` empty textures, one average for each ``cameras`` - 1 of them, for the index."""
    layout = CaptureLayout(out, TEXTURE)
    n_frames = files // cameras
    keys = [FrameKey(f"SEN_{i // frames_per_segment:04d}", f"{i % frames_per_segment:06d}") for i in range(n_frames)]
    names = [f"{400000 + i}" for i in range(cameras - 1)]
    K, Rt = np.array([[6000.0, 0, 667], [0, 6000.0, 1024], [0, 0, 1]]), np.c_[np.eye(3), [0, 0, 1000.0]]
    write_krt(layout.krt, [Camera(name, K, Rt, SIZE) for name in names])
    write_frame_list(layout.frame_list, keys)
    for key in keys:
        for path in (layout.vertices(key), layout.head_pose(key)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name in (*names, AVERAGE):
            path = layout.texture(key, name)
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    return out


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
