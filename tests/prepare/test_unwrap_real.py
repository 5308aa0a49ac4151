"""Unwrapping the real frame, and the path-traced capture made by other code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.capture import Capture, read_head_pose, read_image, read_krt, read_obj, read_vertices
from multiface.geometry import flip_rows, projection_matrix
from multiface.prepare import TextureAverage, UvMap, unwrap_frame, unwrap_photo, view_cosine
from multiface.render import render_mesh

pytestmark = pytest.mark.real


def psnr(a, b) -> float:
    return float(10 * np.log10(255**2 / ((np.asarray(a, float) - b) ** 2).mean()))


def render(vertices, projection, topology, texture, size):
    """Picture (H, W, 3), and where it shows texels that were seen (H, W)."""
    texels = torch.from_numpy(flip_rows(texture)).permute(2, 0, 1)[None].float()
    seen = (texels > 0).all(1, keepdim=True).float()
    mesh, matrix = torch.from_numpy(vertices)[None], torch.from_numpy(projection)[None]
    picture = render_mesh(mesh, matrix, topology, torch.cat([texels, seen], 1), size).image[0].permute(1, 2, 0).numpy()
    return picture[..., :3], picture[..., 3] > 0.999


def test_the_real_photo_is_unwrapped_onto_the_published_texture(shared):
    real = shared / "real"
    topology = read_obj(real / "face_topology.obj").topology
    vertices, photo = read_vertices(real / "021924.bin", 7306), read_image(real / "021924.png")
    camera = read_krt(real / "KRT")[(real / "camera.txt").read_text().strip()]
    projection = projection_matrix(camera, read_head_pose(real / "021924_transform.txt"))
    texture = unwrap_photo(UvMap(topology, 1024).surface(vertices), projection, photo)
    published = read_image(real / "021924_avgtex.png")
    both = texture.any(-1) & published.any(-1)
    assert both.mean() > 0.4
    assert (texture.any(-1) & ~published.any(-1)).mean() < 1e-4, "what we see, the published system saw too"
    assert psnr(texture[both], published[both]) > 31
    picture, seen = render(vertices, projection, topology, texture, photo.shape[:2])
    assert psnr(picture[seen], photo[seen]) > 37


def test_averages_show_what_a_camera_that_was_left_out_saw(shared):
    """The sister capture without gains between cameras reaches 33 dB; here one gain per channel takes them out."""
    if not (shared / "capture" / "KRT").is_file():
        pytest.skip(f"no path-traced capture at {shared / 'capture'}")
    capture = Capture(shared / "capture")
    key, held_out = capture.frames[5], "400016"
    vertices, uv_map = capture.vertices(key), UvMap(capture.topology, 512)
    others = [name for name in capture.cameras if name != held_out]
    _, average = unwrap_frame(
        uv_map, vertices, [capture.projection(key, name) for name in others], [capture.photo(key, name) for name in others]
    )
    photo = capture.photo(key, held_out).astype(float)
    picture, seen = render(vertices, capture.projection(key, held_out), capture.topology, average, photo.shape[:2])
    gains = (picture * photo)[seen].sum(0) / (picture**2)[seen].sum(0)
    assert psnr(picture[seen], photo[seen]) > 31
    assert psnr((picture * gains)[seen], photo[seen]) > 33


def test_averages_leave_black_only_what_no_camera_sees(shared):
    if not (shared / "capture" / "KRT").is_file():
        pytest.skip(f"no path-traced capture at {shared / 'capture'}")
    capture = Capture(shared / "capture")
    key = capture.frames[0]
    surface, average = UvMap(capture.topology, 128).surface(capture.vertices(key)), TextureAverage(128)
    for name in capture.cameras:
        projection = capture.projection(key, name)
        average.add(unwrap_photo(surface, projection, capture.photo(key, name)), view_cosine(surface, projection))
    middle = average.result()[32:112, 32:96]  # the face: forehead to chin
    assert middle.any(-1).mean() > 0.95
