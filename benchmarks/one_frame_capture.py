"""A capture of one real frame and one camera, made of the research assets, for training on it.

The assets (see their own licence) are read from a folder beside the repository; nothing of them is part of it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from multiface.capture import (
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
    write_image,
    write_krt,
    write_obj,
    write_statistics,
    write_vertices,
)
from multiface.prepare import unwrap_capture

KEY = FrameKey("E057_Cheeks_Puffed", "021924")


def write_one_frame_capture(shared: Path, out: Path, *, size: tuple[int, int] = (512, 334), texture_size: int = 512) -> Capture:
    """Write the capture: photo at ``size``, camera texture by our own unwrapping, published average texture.

    Statistics of a single frame would be the frame itself, and nothing were left to learn. So the mean texture is the
    published average and the mean mesh the approximate neutral of the expression shapes; the variances follow from them.
    """
    real = shared / "real"
    layout = CaptureLayout(out, texture_size)
    camera = read_krt(real / "KRT")[(real / "camera.txt").read_text().strip()].resized(size)
    mesh = read_obj(real / "face_topology.obj")
    vertices = read_vertices(real / "021924.bin")
    write_krt(layout.krt, [camera])
    write_frame_list(layout.frame_list, [KEY])
    write_vertices(layout.vertices(KEY), vertices)
    write_obj(layout.mesh(KEY), vertices, mesh.topology)
    write_head_pose(layout.head_pose(KEY), read_head_pose(real / "021924_transform.txt"))
    write_image(layout.photo(KEY, camera.name), _resized(read_image(real / "021924.png"), size))
    unwrap_capture(out, texture_size)

    average = _resized(read_image(real / "021924_avgtex.png"), (texture_size, texture_size))
    write_image(layout.average(KEY), average)
    texture = read_image(layout.texture(KEY, camera.name))
    seen = (texture > 0).all(-1) & (average > 0).all(-1)
    neutral = np.load(shared / "expressions" / "expressions.npz", allow_pickle=False)["neutral"].astype(np.float32)
    write_statistics(
        layout,
        Statistics(
            tex_mean=average,
            tex_var=float(np.square(texture[seen].astype(float) - average[seen]).mean()),
            vert_mean=neutral,
            vert_var=float(np.square(vertices - neutral).mean()),
        ),
    )
    return Capture(out)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
